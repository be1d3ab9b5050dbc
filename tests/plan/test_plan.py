"""The plan: what runs, what does not and why, known before anything runs."""

from __future__ import annotations

from collections.abc import Set

from hypothesis import given
from hypothesis import strategies as st

from certify.plan.catalogue import Catalogue, load_catalogue
from certify.plan.plan import Plan, PlanRow, make_plan
from certify.plan.profiles import ORDER, PROFILES
from certify.terms.traits import TRAITS, Capability, Trait
from tests.made_up import EVERY_CAPABILITY, EVERY_TRAIT, whole_plan

CATALOGUE = load_catalogue()
EVERYTHING = CATALOGUE.select([], [])


def plan_of(
    profile: str = "quick",
    traits: Set[Trait] = EVERY_TRAIT,
    capabilities: Set[Capability] = EVERY_CAPABILITY,
    selected: Set[str] = EVERYTHING,
) -> Plan:
    return make_plan(CATALOGUE, traits, PROFILES[profile], capabilities, selected)


def row_of(plan: Plan, identifier: str) -> PlanRow:
    return next(row for row in plan.rows if row.requirement.id == identifier)


def test_a_candidate_with_every_trait_runs_everything() -> None:
    plan = whole_plan()
    assert plan.planned == len(CATALOGUE.requirements)
    assert all(not row.reason for row in plan.rows)


def test_a_trait_that_the_candidate_lacks_makes_a_requirement_not_applicable_and_uncounted() -> None:
    row = row_of(plan_of(traits={"native"}), "licence.lora-terms")
    assert (row.action, row.counts) == ("not-applicable", False)
    assert row.reason == "applies only to plugins that use LoRAs"


def test_what_the_machine_lacks_is_not_evidenced_and_still_counts() -> None:
    row = row_of(plan_of(capabilities={"windows"}), "sdk.same-seed")
    assert (row.action, row.counts) == ("not-evidenced", True)
    assert row.reason == "this machine lacks: worker"


def test_static_requirements_run_where_no_worker_can() -> None:
    plan = plan_of(capabilities=frozenset())
    assert {row.requirement.when for row in plan.to_run} == {"static"}


def test_what_was_not_selected_is_not_evidenced_and_still_counts() -> None:
    plan = plan_of(selected={"leak.memory"})
    assert [row.requirement.id for row in plan.to_run] == ["leak.memory"]
    row = row_of(plan, "leak.handles")
    assert (row.action, row.counts, row.reason) == ("not-evidenced", True, "not selected for this run")


def test_a_foreign_requirement_stays_not_applicable_when_it_is_selected() -> None:
    plan = plan_of(traits={"native"}, selected={"licence.lora-terms"})
    assert row_of(plan, "licence.lora-terms").action == "not-applicable"


def test_a_day_counts_at_profile_certified_alone() -> None:
    assert [row_of(plan_of(profile), "leak.full-day").counts for profile in ORDER] == [False, False, True]


def test_whatever_counts_at_a_profile_counts_at_the_stricter_ones() -> None:
    counted = [{row.requirement.id for row in plan_of(profile).rows if row.counts} for profile in ORDER]
    assert counted[0] <= counted[1] <= counted[2]


def test_removed_requirements_are_left_out() -> None:
    first = CATALOGUE.suites[0]
    gone = first.requirement[0].model_copy(update={"removed": "2026.2"})
    suite = first.model_copy(update={"requirement": (gone, *first.requirement[1:])})
    plan = make_plan(
        Catalogue((suite,), CATALOGUE.root), EVERY_TRAIT, PROFILES["quick"], EVERY_CAPABILITY, EVERYTHING
    )
    assert [row.requirement.id for row in plan.rows] == [row.id for row in first.requirement[1:]]


def test_the_estimate_holds_the_soak_only_where_one_runs() -> None:
    without = plan_of("certified", selected={"sdk.same-seed"})
    assert without.seconds == row_of(without, "sdk.same-seed").requirement.budget
    assert plan_of("certified", selected={"leak.memory"}).seconds >= 86_400


@given(
    st.sampled_from(ORDER),
    st.sets(st.sampled_from(sorted(TRAITS))),
    st.sets(st.sampled_from(["linux", "worker", "cuda"])),
    st.sets(st.sampled_from(sorted(EVERYTHING))),
)
def test_every_requirement_has_one_row_and_what_does_not_run_says_why(
    profile: str, traits: set[Trait], capabilities: set[Capability], selected: set[str]
) -> None:
    plan = plan_of(profile, traits, capabilities, selected)
    assert [row.requirement.id for row in plan.rows] == [row.id for row in CATALOGUE.requirements]
    for row in plan.rows:
        assert (row.action == "run") == (not row.reason)
    assert plan.planned <= len(selected)


def test_a_plan_tells_whether_anything_of_the_candidate_is_executed() -> None:
    static = {row.id for row in CATALOGUE.requirements if row.when == "static"}
    assert not plan_of(selected=static).needs_worker
    assert plan_of(selected=static | {"sdk.entry-loads"}).needs_worker
    assert not plan_of(selected=static | {"sdk.entry-loads"}, capabilities=set()).needs_worker
