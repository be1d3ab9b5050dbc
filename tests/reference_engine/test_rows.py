"""Every row that the engine implements has a test that names it."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from reference_engine import SDK, ConfigError

HERE = Path(__file__).parent
SPEC = HERE.parent.parent / "docs" / "spec.md"
ROWS = re.findall(r"^\| ([A-D]\d) \|", SPEC.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("model_type", ["v1.4", "v1.5", "v2.0"])
def test_b2_the_three_model_types_make_plugins(model_type: str) -> None:
    """B2."""
    with pytest.warns(FutureWarning) if model_type == "v1.4" else nullcontext():
        assert SDK.create_plugin({"model_type": model_type}).config.model_type == model_type


def test_b2_another_model_type_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"v1\.4, v1\.5, v2\.0"):
        SDK.create_plugin({"model_type": "v3.0"})


@pytest.mark.parametrize("row", ROWS)
def test_the_row_is_named_by_a_test(row: str) -> None:
    texts = [path.read_text("utf-8") for path in HERE.rglob("test_*.py") if path.name != Path(__file__).name]
    assert row == "B2" or any(re.search(rf"\b{row}\b", text) for text in texts)
