"""B4: traces of allocations are kept beside a model that the engine built; nothing else is taken for one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reference_engine.models.tiny import tiny_model
from reference_engine.render import allocations, dryrun

WANTED = (("unet", 2), ("decode", 1))


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Path]:
    """The configurations of the tiny model in a folder of its own; nothing is remembered in this process."""
    for part in ("unet", "vae"):
        (tmp_path / part).mkdir()
        shutil.copy(Path(tiny_model("v1.5")) / part / "config.json", tmp_path / part)
    dryrun.allocation_model.cache_clear()
    yield tmp_path
    dryrun.allocation_model.cache_clear()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that are traced from here on."""
    stages: list[str] = []
    run = dryrun._run

    def noted(folder: Path, stage: str, *more: object) -> allocations.AllocationTrace:
        stages.append(stage)
        return run(folder, stage, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(dryrun, "_run", noted)
    return stages


def test_what_is_kept_is_what_a_trace_gives_and_spares_it(model: Path, traced: list[str]) -> None:
    fresh = [dryrun.allocation_model(model, stage, rows, True) for stage, rows in WANTED]
    dryrun.keep_allocations(model)
    dryrun.allocation_model.cache_clear()
    traced.clear()
    assert [dryrun.allocation_model(model, stage, rows, True) for stage, rows in WANTED] == fresh
    assert traced == []


def test_another_configuration_or_batch_is_traced_anew(model: Path, traced: list[str]) -> None:
    dryrun.keep_allocations(model)
    dryrun.allocation_model.cache_clear()
    traced.clear()
    config = json.loads((model / "vae" / "config.json").read_text("utf-8"))
    (model / "vae" / "config.json").write_text(json.dumps({**config, "norm_num_groups": 4}), "utf-8")
    dryrun.allocation_model(model, "decode", 1, True)
    assert traced == ["decode", "decode"]
    dryrun.allocation_model(model, "unet", 1, True)
    assert traced == ["decode", "decode", "unet", "unet"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"KEY": 1}',
        '{"KEY": [[[[9, 1]], [4]], [[[9, 1]], [4]]]}',
        '{"KEY": [[[[0, 2]], [4]], [[[0, 2]], [4]]]}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(model: Path, text: str) -> None:
    key = dryrun._key(model, "decode", 1, True)
    (model / allocations.FILE).write_text(text.replace("KEY", key), "utf-8")
    assert allocations.read(model, key) is None
