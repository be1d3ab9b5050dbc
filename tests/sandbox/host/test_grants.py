"""What a worker is given of the weights that the user named."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from certify.errors import UserError
from certify.run import opening
from certify.run.request import RunRequest
from certify.sandbox.host.grants import closed_to_a_worker, with_targets

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root's workers are users of their own"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Laid out as in the Hub's cache: names that link to files beside the folder."""
    folder = tmp_path.resolve() / "snapshots" / "one"
    for name in ("unet", "vae"):
        (folder / name).mkdir(parents=True, mode=0o755)
        blob = folder.parent / f"blob-{name}"
        blob.write_text("x", "utf-8")
        blob.chmod(0o644)
        (folder / name / "weights").symlink_to(f"../../{blob.name}")
    (folder / "vae" / "again").symlink_to("weights")
    for path in (folder, folder.parent, folder / "unet", folder / "vae"):
        path.chmod(0o755)
    return folder


def test_what_links_lead_to_is_given_with_the_folder(model: Path) -> None:
    blobs = [str(model.parent / f"blob-{name}") for name in ("unet", "vae")]
    assert with_targets([str(model)])[0] == str(model)
    assert sorted(with_targets([str(model)])[1:]) == blobs


@as_root
@pytest.mark.parametrize("closed", ["snapshots/one", "snapshots/one/unet", "snapshots/blob-vae"])
def test_weights_that_a_worker_cannot_read_are_the_users_mistake(
    model: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "check_folder", lambda _: None)
    request = RunRequest(plugin="plugin", out="out", models={"v1.5": str(model)})
    opening.check_models(request)
    path = model.parent.parent / closed
    path.chmod(0o700 if path.is_dir() else 0o600)
    with pytest.raises(UserError, match="is closed to others") as error:
        opening.check_models(request)
    assert str(path) in error.value.message
    # chmod does not follow links that it finds on its way.
    assert error.value.hint == f"chmod -R a+rX {path if path.is_file() else model}"


def test_a_normal_users_workers_read_what_it_can_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    model.chmod(0o700)
    assert closed_to_a_worker(model) == ""
