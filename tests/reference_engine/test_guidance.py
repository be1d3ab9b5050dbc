"""Advice: data for tools, sentences for users, and no refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reference_engine import SDK, guidance
from reference_engine.config import MODEL_TYPES
from reference_engine.models.tiny import ARCHITECTURES
from reference_engine.preprocess.parameters import MAX_STEPS


def test_there_is_advice_on_every_model_type_and_it_agrees_with_the_models() -> None:
    """D1, D2"""
    assert tuple(guidance.MODELS) == MODEL_TYPES
    for name, advice in guidance.MODELS.items():
        assert advice.native_size == ARCHITECTURES[name].native_size
        assert advice.text_width == ARCHITECTURES[name].text_width
    assert guidance.MODELS["v1.5"].claimed_memory_gb == (6, 6)
    assert guidance.MODELS["v2.0"].claimed_memory_gb == (8, 12)
    assert guidance.MODELS["v1.4"].successor == "v1.5"


def test_the_advice_on_steps_is_what_the_specification_says() -> None:
    """D5"""
    ranges = {name: (advice.low, advice.high) for name, advice in guidance.STEPS.items()}
    assert ranges == {
        "most work": (20, 30),
        "portraits": (28, 35),
        "concept sketches": (15, 20),
        "the best value": (25, 40),
    }
    assert guidance.NO_GAIN_OVER == MAX_STEPS


@pytest.mark.parametrize("steps", [15, 20, 28, 35, 40])
def test_advised_steps_bring_no_warning(steps: int) -> None:
    """D5"""
    assert guidance.steps_warnings(steps) == ()


@pytest.mark.parametrize(("steps", "effect"), [(5, "leave detail out"), (14, "15"), (41, "gain little")])
def test_other_steps_bring_one_that_says_why(steps: int, effect: str) -> None:
    """D5"""
    (told,) = guidance.steps_warnings(steps)
    assert told.startswith(f"{steps} steps")
    assert effect in told


def test_the_result_tells_what_the_steps_were_and_is_made_all_the_same(make: Any) -> None:
    """D5"""
    assert any(line.startswith("5 steps") for line in make().warnings)
    assert make(steps=15).warnings == ()


def test_a_stage_that_changes_the_steps_changes_what_is_told(make: Any) -> None:
    own = SDK.create_plugin({"device": "cpu"})

    def more(request: Any) -> Any:
        return replace(request, steps=15)

    more.name = "more"  # type: ignore[attr-defined]
    own.pipeline.insert(more, before="parameters")  # type: ignore[arg-type]
    assert make(on=own).warnings == ()


def test_the_unmaintained_model_warns_at_creation_and_in_each_result(make: Any) -> None:
    """D3"""
    with pytest.warns(FutureWarning, match=r"Move to v1\.5; LoRAs and plugins made for v1\.5 may not fit"):
        old = SDK.create_plugin({"device": "cpu", "model_type": "v1.4"})
    assert make(on=old, steps=15).warnings == (guidance.UNMAINTAINED,)
