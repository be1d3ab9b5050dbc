"""The verdict: a pure function that nothing unmeasured gets past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.record.results import Isolation, RequirementResult
from certify.terms.isolation import LEVELS, meets
from certify.terms.outcomes import Outcome
from certify.verdict.verdict import Verdict, decide
from tests.made_up import ISOLATED, row, whole_plan

BAD = {Outcome.FAILED, Outcome.ERROR, Outcome.NOT_EVIDENCED, Outcome.FLAKY}
SUCCESS = {"PASSED", "CERTIFIED"}


def judge(*rows: RequirementResult, planned: int | None = None, **more: Any) -> Verdict:
    ran = sum(result.attempts > 0 for result in rows)
    told = {"profile": "quick", "isolation": ISOLATED, **more}
    return decide(rows, ran if planned is None else planned, **told)


rows_of_any_kind = st.lists(
    st.builds(
        lambda outcome, counts, attempts: row(outcome, counts=counts, attempts=attempts),
        st.sampled_from(list(Outcome)),
        st.booleans(),
        st.integers(0, 2),
    ),
    max_size=8,
)
runs = st.fixed_dictionaries(
    {
        "planned": st.integers(0, 8),
        "profile": st.sampled_from(["quick", "store", "certified"]),
        "isolation": st.builds(Isolation, level=st.sampled_from(LEVELS), demanded=st.sampled_from(LEVELS)),
        "trouble": st.sampled_from(["", "the supervisor ended"]),
        "interrupted": st.booleans(),
    }
)


@given(rows_of_any_kind, runs)
def test_success_has_no_way_round_any_demand(rows: list[RequirementResult], run: dict[str, Any]) -> None:
    verdict = decide(rows, **run)
    ran = sum(result.attempts > 0 for result in rows)
    faultless = (
        ran > 0
        and ran >= run["planned"]
        and not any(result.counts and result.outcome in BAD for result in rows)
        and meets(run["isolation"].level, run["isolation"].demanded)
        and not run["trouble"]
        and not run["interrupted"]
    )
    assert (verdict.name in SUCCESS) == faultless == (verdict.exit_code == 0)
    assert (verdict.name == "CERTIFIED") == (faultless and run["profile"] == "certified")
    assert bool(verdict.reasons) != faultless, "what is not a success says why"


@given(rows_of_any_kind, runs)
def test_a_counted_failure_is_a_rejection_whatever_else_went_wrong(
    rows: list[RequirementResult], run: dict[str, Any]
) -> None:
    verdict = decide([*rows, row(Outcome.FAILED, "made.broken", message="it broke\nmore")], **run)
    assert (verdict.name, verdict.exit_code) == ("REJECTED", 1)
    assert "made.broken: it broke" in verdict.reasons


@given(runs, st.lists(st.sampled_from(list(Outcome)), max_size=5))
def test_nothing_executed_never_passes(run: dict[str, Any], outcomes: list[Outcome]) -> None:
    rows = [row(outcome, attempts=0) for outcome in outcomes]
    assert decide(rows, **run).name not in SUCCESS


@given(rows_of_any_kind, runs)
def test_more_trouble_never_makes_a_better_verdict(
    rows: list[RequirementResult], run: dict[str, Any]
) -> None:
    worse = {**run, "interrupted": True}
    assert decide(rows, **worse).name not in SUCCESS


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.WARNED, Outcome.WAIVED])
def test_good_outcomes_pass(outcome: Outcome) -> None:
    verdict = judge(row(outcome), row(Outcome.NOT_APPLICABLE, counts=False))
    assert (verdict.name, verdict.exit_code, verdict.reasons) == ("PASSED", 0, ())


def test_certified_is_said_at_profile_certified_alone() -> None:
    names = [judge(row(), profile=profile).name for profile in ("quick", "store", "certified")]
    assert names == ["PASSED", "PASSED", "CERTIFIED"]


@pytest.mark.parametrize("outcome", [Outcome.NOT_EVIDENCED, Outcome.FLAKY])
def test_a_counted_gap_is_incomplete(outcome: Outcome) -> None:
    verdict = judge(row(), row(outcome, "made.gap", message="no camera"))
    assert (verdict.name, verdict.exit_code) == ("INCOMPLETE", 3)
    assert "made.gap: no camera" in verdict.reasons


@pytest.mark.parametrize("outcome", sorted(BAD))
def test_what_does_not_count_is_no_gap(outcome: Outcome) -> None:
    assert judge(row(), row(outcome, counts=False)).name == "PASSED"


def test_fewer_ran_than_planned_is_incomplete() -> None:
    verdict = judge(row(), planned=2)
    assert (verdict.name, verdict.reasons) == ("INCOMPLETE", ("Only 1 of 2 planned requirements ran.",))


def test_an_empty_run_is_incomplete() -> None:
    assert judge().name == "INCOMPLETE"


def test_isolation_below_the_demand_is_incomplete() -> None:
    verdict = judge(row(), isolation=Isolation(level="L1", demanded="L2"))
    assert verdict.name == "INCOMPLETE"
    assert "L1" in verdict.reasons[0]
    assert judge(row(), isolation=Isolation(level="L3", demanded="L2")).name == "PASSED"


def test_trouble_of_the_harness_is_an_error() -> None:
    verdict = judge(row(), trouble="the nursery ended")
    assert (verdict.name, verdict.exit_code, verdict.reasons) == ("ERROR", 4, ("the nursery ended",))


def test_an_error_in_a_counted_requirement_is_an_error() -> None:
    verdict = judge(row(), row(Outcome.ERROR, "made.err"))
    assert (verdict.name, verdict.reasons) == ("ERROR", ("made.err: error",))


def test_an_interrupted_run_is_incomplete() -> None:
    verdict = judge(row(), interrupted=True)
    assert (verdict.name, verdict.exit_code) == ("INCOMPLETE", 3)
    assert "interrupted" in verdict.reasons[0]


def test_a_sound_plugin_on_one_machine_is_incomplete_at_profile_certified() -> None:
    open_here = {"leak.full-day", "platform.native"}
    verdicts = {}
    for profile in ("store", "certified"):
        plan = whole_plan(profile)
        rows = [
            row(
                Outcome.NOT_EVIDENCED if planned.requirement.id in open_here else Outcome.PASSED,
                planned.requirement.id,
                counts=planned.counts,
                attempts=1,
            )
            for planned in plan.rows
        ]
        verdicts[profile] = judge(*rows, planned=plan.planned, profile=profile)
    assert verdicts["store"].name == "PASSED"
    assert verdicts["certified"].name == "INCOMPLETE"
    assert {reason.partition(":")[0] for reason in verdicts["certified"].reasons} == open_here


def test_an_unknown_isolation_level_is_no_pass() -> None:
    with pytest.raises(ValueError):
        meets("L9", "L1")
