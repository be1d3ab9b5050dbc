"""Results from a journal: whole, or cut anywhere, and never better than what was measured."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.plan.catalogue import load_catalogue
from certify.plan.plan import make_plan, plan_event
from certify.plan.profiles import PROFILES
from certify.record.journal import Journal, read_journal
from certify.record.results import Results
from certify.terms.outcomes import Outcome
from certify.verdict.assemble import assemble
from tests.made_up import EVERY_CAPABILITY, begin_run, whole_plan, written

ALL = load_catalogue().select([], [])


@cache
def whole_journal(first: Outcome = Outcome.PASSED) -> bytes:
    """A run of everything, in which all passed but perhaps the first."""
    plan = whole_plan()
    with TemporaryDirectory() as folder:
        outcomes = {plan.to_run[0].requirement.id: first}
        return written(Path(folder) / "j", plan, outcomes).read_bytes()


def events_of_a_plan() -> list[dict[str, Any]]:
    """Nothing of it was measured yet."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        with Journal(path) as journal:
            begin_run(journal, whole_plan())
        return read_journal(path)


def read_bytes(data: bytes) -> Results:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        path.write_bytes(data)
        return assemble(read_journal(path))


def test_a_whole_journal_passes_and_keeps_every_row() -> None:
    results = read_bytes(whole_journal())
    assert (results.verdict.name, results.planned) == ("PASSED", len(ALL))
    assert [row.id for row in results.requirements] == [row.requirement.id for row in whole_plan().rows]
    assert results.claims == ("soak: 1 s",)
    assert (results.isolation.level, results.seconds, results.candidate.name) == ("L2", 1.5, "made-up")


def test_results_survive_their_json() -> None:
    results = read_bytes(whole_journal())
    assert Results.model_validate(json.loads(results.to_json())) == results


@given(st.integers(0, len(whole_journal()) - 2))
def test_a_journal_cut_anywhere_is_no_run_or_not_passed(cut: int) -> None:
    try:
        results = read_bytes(whole_journal()[:cut])
    except ValueError as error:
        assert "before the plan" in str(error)
        assert whole_journal()[:cut].count(b"\n") < 2
        return
    assert (results.verdict.name, results.verdict.exit_code) == ("INCOMPLETE", 3)
    assert len(results.requirements) == len(ALL)
    unreached = [row for row in results.requirements if row.outcome is Outcome.NOT_EVIDENCED]
    assert all(row.message == "the run was interrupted before this requirement" for row in unreached)


@given(st.data())
def test_a_failure_that_was_written_stands_though_the_journal_is_cut_behind_it(data: st.DataObject) -> None:
    journal = whole_journal(Outcome.FAILED)
    known = journal.index(b"\n", journal.index(b'"outcome": "failed"'))
    assert read_bytes(journal[: data.draw(st.integers(known, len(journal)))]).verdict.name == "REJECTED"


def test_what_was_planned_and_not_measured_is_told_though_the_run_ended(tmp_path: Path) -> None:
    plan = whole_plan()
    with Journal(tmp_path / "j") as journal:
        begin_run(journal, plan)
        journal.write("end", seconds=0.1, trouble=[])
    results = assemble(read_journal(tmp_path / "j"))
    assert results.verdict.name == "INCOMPLETE"
    assert {row.message for row in results.requirements} == {"planned, but no test measured this requirement"}


def test_what_the_plan_left_out_keeps_its_reason(tmp_path: Path) -> None:
    plan = make_plan(load_catalogue(), {"native"}, PROFILES["quick"], EVERY_CAPABILITY, ALL - {"leak.memory"})
    results = assemble(read_journal(written(tmp_path / "j", plan)))
    rows = {row.id: row for row in results.requirements}
    assert (rows["leak.memory"].outcome, rows["leak.memory"].message) == (
        Outcome.NOT_EVIDENCED,
        "not selected for this run",
    )
    assert rows["licence.lora-terms"].outcome is Outcome.NOT_APPLICABLE
    assert not rows["licence.lora-terms"].counts
    assert results.verdict.name == "INCOMPLETE"


def test_trouble_in_the_end_is_an_error(tmp_path: Path) -> None:
    *events, end = read_journal(written(tmp_path / "j", whole_plan()))
    events.append({**end, "trouble": ["the nursery ended", "twice"]})
    verdict = assemble(events).verdict
    assert (verdict.name, verdict.reasons) == ("ERROR", ("the nursery ended; twice",))


def test_isolation_that_was_never_measured_is_none(tmp_path: Path) -> None:
    events = [
        event
        for event in read_journal(written(tmp_path / "j", whole_plan("store")))
        if event["event"] != "isolation"
    ]
    results = assemble(events)
    assert (results.isolation.level, results.isolation.demanded) == ("L0", "L2")
    assert results.verdict.name == "INCOMPLETE"


@pytest.mark.parametrize("kind", ["run", "plan", "isolation", "requirement", "end"])
def test_what_stands_twice_in_a_journal_is_an_alteration(tmp_path: Path, kind: str) -> None:
    events = read_journal(written(tmp_path / "j", whole_plan()))
    again = next(event for event in events if event["event"] == kind)
    with pytest.raises(ValueError, match="twice"):
        assemble([*events, again])


@pytest.mark.parametrize("events", [[], [{"event": "run"}], [{"event": "plan", "rows": []}], [{}]])
def test_a_journal_without_run_and_plan_is_told(events: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError, match="no run"):
        assemble(events)


def test_the_plan_in_the_journal_explains_itself() -> None:
    for event in plan_event(whole_plan().rows):
        assert event["title"] and event["sentence"] and event["why"] and event["fix"] and event["source"]
        assert event["effort"] in ("minutes", "hours", "days")


def test_effort_goes_from_the_plan_to_a_result_that_was_not_measured() -> None:
    events = events_of_a_plan()
    by_id = {event["id"]: event["effort"] for event in plan_event(whole_plan().rows)}
    assert {row.id: row.effort for row in assemble(events).requirements} == by_id


def test_a_journal_from_before_effort_was_kept_is_still_read() -> None:
    events = events_of_a_plan()
    for row in events[1]["rows"]:
        del row["effort"]
    assert {row.effort for row in assemble(events).requirements} == {""}


def test_an_event_without_what_it_must_have_is_told_as_damage() -> None:
    with pytest.raises(ValueError, match="lacks the key 'demanded'"):
        assemble(
            [
                {"event": "run", "certify": {}, "candidate": {}, "profile": "quick"},
                {"event": "plan", "rows": []},
            ]
        )
