"""Going on with a run: what is kept, what is measured anew, and where it is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from certify.errors import UserError
from certify.plan.plan import plan_event
from certify.record.journal import BusyError, Journal, read_journal
from certify.record.results import Results
from certify.run.request import RunRequest
from certify.run.resume import check_unchanged, recorded_request
from certify.terms.outcomes import Outcome
from certify.verdict.assemble import assemble
from tests.made_up import begin_run, row, whole_plan, written

PLAN = whole_plan()
FIRST = PLAN.to_run[0].requirement.id


def cut_short(folder: Path, outcome: Outcome) -> Path:
    """A run whose first requirement was measured, and no other."""
    with Journal(folder / "journal.ndjson") as journal:
        begin_run(journal, PLAN)
        journal.write("requirement", **measured(FIRST, outcome))
    return folder


def measured(identifier: str, outcome: Outcome) -> dict[str, object]:
    return row(outcome, identifier, message=f"it {outcome.value}").model_dump(mode="json")


def resumed(folder: Path, outcome: Outcome, trouble: str = "", ends: bool = True) -> Results:
    with Journal(folder / "journal.ndjson") as journal:
        journal.write("resumed")
        journal.write("isolation", level="L2", demanded="L1", acts=[])
        journal.write("requirement", **measured(FIRST, outcome))
        for planned in PLAN.to_run[1:]:
            journal.write("requirement", **measured(planned.requirement.id, Outcome.PASSED))
        journal.write("claim", text="soak: 1 s")
        if ends:
            journal.write("end", seconds=1.5, trouble=[trouble] if trouble else [])
        assert not journal.altered()
    return assemble(read_journal(folder / "journal.ndjson"))


def outcome_of(results: Results) -> Outcome:
    return next(row.outcome for row in results.requirements if row.id == FIRST)


@pytest.mark.parametrize(
    ("before", "after", "outcome", "verdict"),
    [
        (Outcome.PASSED, Outcome.PASSED, Outcome.PASSED, "PASSED"),
        (Outcome.NOT_EVIDENCED, Outcome.PASSED, Outcome.PASSED, "PASSED"),
        (Outcome.ERROR, Outcome.PASSED, Outcome.PASSED, "PASSED"),
        (Outcome.WARNED, Outcome.PASSED, Outcome.WARNED, "PASSED"),
        (Outcome.FAILED, Outcome.PASSED, Outcome.FLAKY, "INCOMPLETE"),
        (Outcome.FAILED, Outcome.NOT_EVIDENCED, Outcome.NOT_EVIDENCED, "INCOMPLETE"),
        (Outcome.PASSED, Outcome.FAILED, Outcome.FAILED, "REJECTED"),
        (Outcome.PASSED, Outcome.ERROR, Outcome.ERROR, "ERROR"),
    ],
)
def test_what_failed_before_the_cut_does_not_pass_by_it(
    tmp_path: Path, before: Outcome, after: Outcome, outcome: Outcome, verdict: str
) -> None:
    results = resumed(cut_short(tmp_path, before), after)
    assert outcome_of(results) is outcome
    assert results.verdict.name == verdict


def test_the_record_tells_of_the_gap(tmp_path: Path) -> None:
    claims = resumed(cut_short(tmp_path, Outcome.PASSED), Outcome.PASSED).claims
    assert claims[0] == "soak: 1 s"
    assert claims[1].startswith("the run was interrupted after 20")
    assert "measured again" in claims[1]


def test_a_run_that_is_cut_again_can_be_resumed_again(tmp_path: Path) -> None:
    assert (
        resumed(cut_short(tmp_path, Outcome.PASSED), Outcome.PASSED, ends=False).verdict.name == "INCOMPLETE"
    )
    recorded_request(tmp_path)
    results = resumed(tmp_path, Outcome.PASSED)
    assert results.verdict.name == "PASSED"
    assert len(results.claims) == 3


def test_a_line_that_was_cut_is_taken_away_before_more_is_written(tmp_path: Path) -> None:
    journal = cut_short(tmp_path, Outcome.PASSED) / "journal.ndjson"
    journal.write_bytes(journal.read_bytes() + b'{"event": "requ')
    assert resumed(tmp_path, Outcome.PASSED).verdict.name == "PASSED"


def test_a_requirement_twice_in_one_part_is_an_altered_record(tmp_path: Path) -> None:
    cut_short(tmp_path, Outcome.PASSED)
    with Journal(tmp_path / "journal.ndjson") as journal:
        journal.write("requirement", **measured(FIRST, Outcome.PASSED))
    with pytest.raises(UserError, match="twice"):
        recorded_request(tmp_path)


def test_the_order_is_that_of_the_record_with_its_seed(tmp_path: Path) -> None:
    request = recorded_request(cut_short(tmp_path, Outcome.PASSED))
    assert request == RunRequest("made-up", seed="1", out=str(tmp_path), resume=True)


def test_a_run_that_came_to_its_end_is_not_resumed(tmp_path: Path) -> None:
    written(tmp_path / "journal.ndjson", PLAN)
    with pytest.raises(UserError, match="came to its end"):
        recorded_request(tmp_path)


def test_a_run_that_the_harness_failed_is_resumed(tmp_path: Path) -> None:
    resumed(cut_short(tmp_path, Outcome.PASSED), Outcome.PASSED, trouble="the supervisor is gone")
    assert recorded_request(tmp_path).resume


def test_where_there_is_no_run_nothing_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the folder of a run"):
        recorded_request(tmp_path)
    (tmp_path / "journal.ndjson").touch()
    with pytest.raises(UserError, match="contains no run"):
        recorded_request(tmp_path)


@pytest.mark.parametrize(
    ("key", "told"),
    [("candidate", "the plugin"), ("certify", "certify"), ("environment", "machine"), ("policy", "policy")],
)
def test_another_plugin_certify_policy_or_machine_is_another_run(tmp_path: Path, key: str, told: str) -> None:
    events = read_journal(cut_short(tmp_path, Outcome.PASSED) / "journal.ndjson")
    rows = plan_event(PLAN.rows)
    header = dict(events[0])
    check_unchanged(events, header, rows)
    with pytest.raises(UserError, match=f"{told}.* is not what it was"):
        check_unchanged(events, {**header, key: "another"}, rows)
    with pytest.raises(UserError, match="What can be measured"):
        check_unchanged(events, header, rows[1:])


@pytest.mark.skipif(sys.platform == "win32", reason="nothing holds a journal on Windows")
def test_two_runs_do_not_write_one_record(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.ndjson"), pytest.raises(BusyError):
        Journal(tmp_path / "journal.ndjson")


def test_a_soak_whose_record_was_altered_is_told_before_anything_runs(tmp_path: Path) -> None:
    cut_short(tmp_path, Outcome.PASSED)
    (tmp_path / "soak-real.ndjson").write_text('{"kind": "begin", "chain": "0"}\n', "utf-8")
    with pytest.raises(UserError, match="was altered"):
        recorded_request(tmp_path)


@pytest.mark.parametrize("between", [Outcome.NOT_EVIDENCED, Outcome.ERROR, Outcome.PASSED])
def test_what_failed_once_does_not_pass_by_being_resumed_twice(tmp_path: Path, between: Outcome) -> None:
    resumed(cut_short(tmp_path, Outcome.FAILED), between, ends=False)
    results = resumed(tmp_path, Outcome.PASSED)
    assert outcome_of(results) is Outcome.FLAKY
    assert results.verdict.name == "INCOMPLETE"
