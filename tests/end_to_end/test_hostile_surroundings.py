"""What lies about where certify is called from, or in the candidate, is never loaded by the judge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.defects.catalogue import SOUND
from tests.end_to_end.commands import certify

pytestmark = pytest.mark.slow
# Static requirements alone: these tests are about who gets loaded, not about the plugin.
NARROW = ("--suite", "licensing")
INCOMPLETE = 3
PYTEST = str(Path(sys.executable).with_name("pytest"))


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A candidate that brings whatever Python and pytest would load from a folder."""
    folder = tmp_path / "hostile"
    shutil.copytree(SOUND, folder)
    trap = f"from pathlib import Path; Path({str(tmp_path / 'loaded')!r}).write_text('x')\n"
    for name in ("conftest.py", "sitecustomize.py", "usercustomize.py", "certify.py", "pytest.py", "evil.py"):
        (folder / name).write_text(trap, "utf-8")
    (folder / "evil.pth").write_text(f"import sys; {trap}", "utf-8")
    return folder


def test_nothing_of_the_candidate_is_loaded_by_certify_run(hostile: Path, tmp_path: Path) -> None:
    done = certify("run", hostile, "--out", tmp_path / "run", *NARROW, cwd=tmp_path, PYTEST_ADDOPTS="-p evil")
    assert done.returncode == INCOMPLETE, done.stdout + done.stderr
    assert not (tmp_path / "loaded").exists()


def test_the_pytest_form_gives_the_verdict_and_the_code_of_certify_run(hostile: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "certify",
        "run",
        str(hostile),
        "--out",
        str(tmp_path / "run"),
        *NARROW,
    ]
    neutral = tmp_path / "neutral"
    neutral.mkdir()
    done = subprocess.run(command, cwd=neutral, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == INCOMPLETE, done.stdout + done.stderr
    assert "INCOMPLETE at profile quick" in done.stdout
    assert not (tmp_path / "loaded").exists()


def test_secrets_of_the_caller_do_not_reach_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    certify("run", SOUND, "--out", out, *NARROW, STORE_SECRET_TOKEN="hunter2")
    assert "hunter2" not in (out / "journal.ndjson").read_text("utf-8")
