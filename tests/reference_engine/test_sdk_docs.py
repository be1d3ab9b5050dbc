"""docs/sdk.md says what is so: its examples run, its tables are complete."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import reference_engine
from reference_engine import SDK, SDKError, guidance
from reference_engine.config import _READERS
from reference_engine.samplers import SAMPLERS

TEXT = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text("utf-8")


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(title: str) -> list[str]:
    rows = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [row.split("|")[1].strip() for row in rows[2:]]


def test_every_example_runs_in_the_order_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B1, B5"""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {"__name__": "sdk_docs"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/sdk.md, block {number + 1}", "exec"), names)
    made = sorted(file.name for file in tmp_path.glob("*.png"))
    assert made == ["draft.png", "harbour-1.png", "harbour-2.png", "lighthouse.png", "village.png"]


def test_every_key_of_the_configuration_is_in_the_table_with_its_default() -> None:
    """B1"""
    assert first_cells("Configuration") == [f"`{key}`" for key in _READERS]
    defaults = dict(
        re.findall(r"^\| `(\w+)` \| `(true|false|\d+)` \|", section("Configuration"), re.MULTILINE)
    )
    config = SDK.create_plugin().config
    assert defaults == {
        key: str(getattr(config, key)).lower()
        for key in ("medvram", "streams", "threads", "persistent_workers")
    }


def test_every_code_of_an_error_is_in_the_table_with_its_class() -> None:
    """B6"""
    for module in pkgutil.walk_packages(reference_engine.__path__, "reference_engine."):
        importlib.import_module(module.name)
    known = {(kind.code, kind.__name__) for kind in _below(SDKError) if "code" in vars(kind)}
    rows = re.findall(r"^\| `(ERR_\w+)` \| `(\w+)` \|", section("Errors"), re.MULTILINE)
    # A download that was cancelled has the code of any other cancelled work.
    assert {row for row in rows if row[1] != "SDKError"} == known - {("ERR_CANCELLED", "DownloadCancelled")}


def _below(kind: type[SDKError]) -> set[type[SDKError]]:
    direct = kind.__subclasses__()
    return {*direct, *(deeper for one in direct for deeper in _below(one))}


def test_every_sampler_is_in_the_table_with_its_parameters() -> None:
    """B3"""
    rows = {
        row.split("|")[1].strip(): row for row in section("Samplers").splitlines() if row.startswith("| ")
    }
    for name, algorithm in SAMPLERS.items():
        assert all(f"`{parameter}`" in rows[name] for parameter in algorithm.parameters), name


def test_the_advice_of_the_page_is_that_of_the_data() -> None:
    """D1, D2, D5"""
    for name, advice in guidance.MODELS.items():
        assert f"| {name} | {advice.native_size} x {advice.native_size} |" in section("Advice")
    for steps in guidance.STEPS.values():
        assert f"{steps.low} to {steps.high} " in section("Advice").replace("\n", " ")


def test_the_stages_are_those_of_the_page() -> None:
    """A4"""
    names = ", ".join(f"`{name}`" for name in SDK.create_plugin().pipeline.names)
    assert names in section("Stages")
