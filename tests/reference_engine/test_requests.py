"""Parameters, prompts and the chain that checks them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_engine import SDK, InvalidParameter, InvalidPrompt
from reference_engine.plugin import Plugin
from reference_engine.preprocess import PreprocessPipeline, PromptCheck, Request


def check(prompt: Any = "a lake", negative_prompt: Any = "", **changed: Any) -> None:
    config = changed.pop("config", None)
    SDK.check_request(prompt, negative_prompt, **{"width": 64, "height": 64, **changed}, config=config)


def refusal(prompt: Any = "a lake", negative_prompt: Any = "", **changed: Any) -> str:
    """Why a request is refused; empty where it is not."""
    try:
        check(prompt, negative_prompt, **changed)
    except (InvalidParameter, InvalidPrompt) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "good",
    [
        {"steps": 5},
        {"steps": 50},
        {"cfg_scale": 0},
        {"cfg_scale": 30},
        {"width": 2048, "height": 2048},
        {"width": 1024, "height": 1024, "config": {"tiling": "never"}},
        {"width": 72},
    ],
)
def test_the_ends_of_every_range_are_accepted(good: dict[str, Any]) -> None:
    """A7"""
    assert refusal(**good) == ""
    # It is looked at at all: the same with one parameter that is wrong.
    assert "steps must" in refusal(**{**good, "steps": 4})


def test_numbers_of_numpy_are_numbers() -> None:
    check(steps=np.int64(5), cfg_scale=np.float32(7.5), width=np.int32(64))
    with pytest.raises(InvalidParameter):
        check(steps=np.bool_(True))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"steps": 4}, "5 to 50"),
        ({"steps": 51}, "not 51. More steps gain nothing"),
        ({"steps": 20.0}, "whole number"),
        ({"steps": True}, "whole number"),
        ({"cfg_scale": -0.1}, "0 to 30"),
        ({"cfg_scale": float("nan")}, "0 to 30"),
        ({"cfg_scale": "7"}, "0 to 30"),
        ({"width": 100}, "nearest is 96"),
        ({"height": 56}, "64 to 2048"),
        ({"seed": -1}, "seed"),
        ({"width": 2056}, "64 to 2048"),
        (
            {"width": 1032, "height": 1024, "config": {"tiling": "never"}},
            "tiling, TensorRT or a smaller size",
        ),
    ],
)
def test_a_parameter_out_of_range_is_refused(bad: dict[str, Any], told: str) -> None:
    """A7, C5"""
    with pytest.raises(InvalidParameter, match=told) as caught:
        check(**bad)
    assert caught.value.code == "ERR_INVALID_PARAMETER"


def test_all_wrong_parameters_are_named_at_once() -> None:
    """A7"""
    with pytest.raises(InvalidParameter) as caught:
        check(steps=1, cfg_scale=99, width=65, height=1, seed="x")
    assert [line.split()[0] for line in caught.value.mistakes] == [
        "steps",
        "cfg_scale",
        "seed",
        "width",
        "height",
    ]


def test_an_image_too_small_for_the_configured_mark_is_refused_early() -> None:
    with pytest.raises(InvalidParameter, match="64 bits, fewer than the 136"):
        check(config={"watermark_payload": "0f" * 17})


@pytest.mark.parametrize("prompt", ["", "  \n", "\u200b\u200b", "\ufeff "])
def test_a_blank_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(InvalidPrompt, match="blank"):
        check(prompt)


@pytest.mark.parametrize("prompt", ["a\0b", "a \ud83d b", 5, None, b"a lake"])
def test_text_that_no_file_can_carry_is_refused_in_both_prompts(prompt: Any) -> None:
    with pytest.raises(InvalidPrompt):
        check(prompt)
    with pytest.raises(InvalidPrompt, match="negative_prompt"):
        check("a lake", prompt)


WORDS = {"sensitive_words": ["forbidden", "mond licht", "禁止", "금지어", "きんし"]}


@pytest.mark.parametrize(
    "prompt",
    [
        "a forbidden thing",
        "FORBIDDEN!",
        "".join(chr(ord(letter) + 0xFEE0) for letter in "forbidden"),  # full-width letters
        "for\u200bbid\u00adden",
        "mond   licht",
        "画一个禁止的东西",
        "禁\u200b止",
        "그것은 금지어입니다",
        "これはきんしです",
        "画forbidden的",
    ],
)
def test_a_sensitive_word_is_refused_however_it_is_written(prompt: str) -> None:
    """B6"""
    with pytest.raises(InvalidPrompt, match="sensitive word") as caught:
        check(prompt, config=WORDS)
    assert caught.value.code == "ERR_INVALID_PROMPT"


@pytest.mark.parametrize("prompt", ["unforbidden", "forbiddens", "mondlicht", "a gate", "禁煙と停止"])
def test_a_word_inside_another_is_not_that_word(prompt: str) -> None:
    """B6"""
    assert refusal(prompt, config=WORDS) == ""
    assert "sensitive word" in refusal(f"{prompt}, forbidden", config=WORDS)


def test_a_negative_prompt_may_name_what_it_keeps_away() -> None:
    assert refusal("a lake", "forbidden", config=WORDS) == ""
    assert "sensitive word" in refusal("forbidden", "a lake", config=WORDS)


@pytest.mark.parametrize("prompt", ["child porn", "儿童色情", "児童ポルノ", "아동포르노", "아동 포르노"])
def test_there_are_words_refused_by_default_in_four_languages(prompt: str) -> None:
    """B6, F2"""
    with pytest.raises(InvalidPrompt):
        check(prompt)


@pytest.mark.parametrize("prompt", ["a child in a park", "수간호사", "人兽交流", "a black cat", "裸麦畑"])
def test_innocent_prompts_pass_the_default_words(prompt: str) -> None:
    assert refusal(prompt) == ""
    assert "sensitive word" in refusal(f"{prompt}, child porn")


@given(st.text(), st.text())
def test_a_sensitive_word_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    """B6"""
    with pytest.raises(InvalidPrompt):
        PromptCheck(("needle",))(Request(f"{before} needle {after}"))


@given(st.text(st.characters(codec=None)))
def test_any_text_is_passed_on_unchanged_or_refused_as_a_prompt(prompt: str) -> None:
    request = Request(prompt)
    try:
        assert PromptCheck()(request) is request
    except InvalidPrompt as error:
        assert error.remedies


@dataclass(frozen=True)
class Suffix:
    text: str
    name: str = "suffix"

    def __call__(self, request: Request) -> Request:
        return replace(request, prompt=request.prompt + self.text)


def test_stages_are_inserted_replaced_and_reordered() -> None:
    """A4"""
    pipeline = PreprocessPipeline([Suffix("a", "first"), Suffix("b", "second")])
    pipeline.insert(Suffix("c", "between"), before="second")
    pipeline.insert(Suffix("d", "last"), after="second")
    assert pipeline.run(Request("")).prompt == "acbd"
    assert pipeline.replace("between", Suffix("x", "between")).name == "between"
    pipeline.reorder(["last", "second", "between", "first"])
    assert pipeline.run(Request("")).prompt == "dbxa"


def test_a_stage_that_is_not_there_is_told_with_the_nearest_name() -> None:
    """A4"""
    pipeline = PreprocessPipeline([Suffix("a", "first")])
    with pytest.raises(ValueError, match='Did you mean "first"'):
        pipeline.insert(Suffix("b"), before="frist")
    with pytest.raises(ValueError, match="already"):
        pipeline.insert(Suffix("b", "first"))
    with pytest.raises(ValueError, match="Name each stage once"):
        pipeline.reorder(["first", "first"])


def test_a_stage_of_the_authors_changes_the_image(plugin: Plugin, make: Any) -> None:
    """A4"""
    other = SDK.create_plugin({"device": "cpu"})
    other.pipeline.insert(Suffix(" in the snow"), before="text")
    changed, meant = make("a cat", on=other), make("a cat in the snow")
    assert changed.image.tobytes() == meant.image.tobytes()
    assert changed.image.tobytes() != make("a cat").image.tobytes()


def test_a_refused_request_loads_no_model(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    """B6"""
    fresh = SDK.create_plugin({"device": "cpu"})
    monkeypatch.setattr(fresh, "_folder", lambda: pytest.fail("the model was asked for"))
    with pytest.raises(InvalidPrompt):
        make("child porn", on=fresh)
    with pytest.raises(InvalidParameter):
        make("a lake", on=fresh, steps=99)
