"""Fresh in each run, and the same again from the recorded seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.measure.randomness import SMALL, Draws, fresh_root_seed

LANGUAGES = ("en", "zh", "ja", "ko")


def drawn(draws: Draws) -> list[object]:
    return [draws.request(), draws.seed(), draws.word(), *(draws.prompt(language) for language in LANGUAGES)]


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_the_same_root_requirement_and_case_draw_the_same(root: str, requirement: str, case: str) -> None:
    assert drawn(Draws(root, requirement, case)) == drawn(Draws(root, requirement, case))


@pytest.mark.parametrize("other", [("2", "a.b", "c"), ("1", "a.d", "c"), ("1", "a.b", "d"), ("1", "a.b", "")])
def test_another_root_requirement_or_case_draws_otherwise(other: tuple[str, str, str]) -> None:
    assert drawn(Draws("1", "a.b", "c")) != drawn(Draws(*other))


def test_where_one_name_ends_and_the_next_begins_matters() -> None:
    assert drawn(Draws("1", "a.b", "c")) != drawn(Draws("1", "a.bc", ""))


def test_a_draw_never_repeats_itself_at_once() -> None:
    draws = Draws("1", "a.b")
    seeds = [draws.request()["seed"] for _ in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_request_is_small_and_takes_other_parameters() -> None:
    draws = Draws("1", "a.b")
    assert {key: draws.request()[key] for key in SMALL} == SMALL
    request = draws.request("ja", steps=50, seed=7, cfg_scale=1.0)
    assert (request["steps"], request["seed"], request["cfg_scale"], request["width"]) == (50, 7, 1.0, 64)


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_prompts_in_other_languages_are_not_ascii(language: str) -> None:
    assert not Draws("1", "a.b").prompt(language).isascii()


def test_root_seeds_are_fresh_whole_numbers() -> None:
    seeds = {fresh_root_seed() for _ in range(50)}
    assert len(seeds) == 50
    assert all(seed.isdecimal() and int(seed) < 2**63 for seed in seeds)
