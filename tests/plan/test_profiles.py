"""Profiles: each stricter than the one before, and a day is a day."""

from __future__ import annotations

import pytest

from certify.errors import UserError
from certify.plan.profiles import ORDER, PROFILES, profile_named
from certify.terms.isolation import LEVELS


def test_the_order_names_every_profile() -> None:
    assert list(ORDER) == list(PROFILES)
    assert [PROFILES[name].name for name in ORDER] == list(ORDER)


@pytest.mark.parametrize(("looser", "stricter"), [("quick", "store"), ("store", "certified")])
def test_each_profile_demands_at_least_what_the_one_before_does(looser: str, stricter: str) -> None:
    before, after = PROFILES[looser], PROFILES[stricter]
    assert LEVELS.index(after.isolation) >= LEVELS.index(before.isolation)
    assert after.soak_seconds > before.soak_seconds
    assert after.soak_calls > before.soak_calls


def test_profile_certified_soaks_for_twenty_four_hours_whatever_the_calls() -> None:
    certified = PROFILES["certified"]
    assert certified.soak_seconds == 24 * 60 * 60
    assert certified.soak_calls / certified.soak_seconds > 100, "no plugin is so fast that calls end the day"


@pytest.mark.parametrize("name", ORDER)
def test_a_requirement_counts_from_its_profile_on(name: str) -> None:
    counted = [PROFILES[name].includes(counts_from) for counts_from in ORDER]
    assert counted == [position <= ORDER.index(name) for position in range(len(ORDER))]


def test_another_deadline_changes_the_deadlines_alone() -> None:
    changed = PROFILES["store"].with_deadline(5)
    assert (changed.call_deadline, changed.load_deadline) == (5, 5)
    assert (changed.name, changed.soak_seconds, changed.isolation) == ("store", 240, "L2")


def test_a_plugin_always_has_a_second_to_load() -> None:
    assert PROFILES["quick"].with_deadline(0.2).load_deadline == 1.0


def test_an_unknown_profile_is_told_with_the_nearest_or_all() -> None:
    with pytest.raises(UserError) as told:
        profile_named("stor")
    assert told.value.hint == 'Did you mean "store"?'
    with pytest.raises(UserError) as told:
        profile_named("zzz")
    assert told.value.hint == "Known profiles: quick, store, certified."
