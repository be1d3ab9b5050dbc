"""From the journal to results.json: a pure function, so that any output can be made again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from certify.record import (
    CandidateRow,
    CertifyRow,
    Isolation,
    Outcome,
    RequirementResult,
    Results,
)
from certify.verdict import decide

# What the plan says of a requirement, so that a record explains itself.
_TEXT = ("id", "suite", "level", "title", "sentence", "source", "why", "fix", "effort")


def assemble(events: Iterable[Mapping[str, Any]]) -> Results:
    """Results from a journal, whole or cut short.

    Raises ValueError where it holds no run and plan, or where an event lacks what it must have.
    """
    try:
        return _assemble(events)
    except KeyError as missing:
        raise ValueError(f"an event lacks {missing}") from None


def _assemble(events: Iterable[Mapping[str, Any]]) -> Results:
    parts = _parts(events)
    first, by_kind = parts[0], parts[-1]
    if "run" not in first or "plan" not in first:
        raise ValueError("the journal holds no run: it ended before the plan was made")
    run, plan = first["run"][0], first["plan"][0]
    measured = _measured(parts)
    ended = by_kind.get("end", [{}])[-1]
    rows = tuple(measured.get(row["id"]) or _unmeasured(row, bool(ended)) for row in plan["rows"])
    isolation = (
        Isolation.model_validate(by_kind["isolation"][-1]) if "isolation" in by_kind else _unknown(run)
    )
    planned = sum(row["action"] == "run" for row in plan["rows"])
    trouble = "; ".join(ended.get("trouble", ()))
    return Results.model_validate(
        {
            "schema": 1,
            "certify": CertifyRow.model_validate(run["certify"]),
            "candidate": CandidateRow.model_validate(run["candidate"]),
            "profile": run["profile"],
            "policy": run.get("policy", ""),
            "seed": run["seed"],
            "environment": run["environment"],
            "isolation": isolation,
            "planned": planned,
            "verdict": decide(rows, planned, run["profile"], isolation, trouble, interrupted=not ended),
            "claims": (*(row["text"] for row in by_kind.get("claim", [])), *_gaps(parts)),
            "requirements": rows,
            "started": run["started"],
            "seconds": ended.get("seconds", 0.0),
            "suites": run["suites"],
            "repeat": run["repeat"],
        }
    )


Part = dict[str, list[Mapping[str, Any]]]


def _parts(events: Iterable[Mapping[str, Any]]) -> list[Part]:
    """The events by kind, from one resumption of the run to the next."""
    parts: list[Part] = [{}]
    for event in events:
        kind = str(event.get("event"))
        if kind == "resumed":
            parts.append({})
        parts[-1].setdefault(kind, []).append(event)
    for number, part in enumerate(parts):
        for kind in ("run", "plan", "isolation", "end"):
            if len(part.get(kind, ())) > (0 if number and kind in ("run", "plan") else 1):
                raise ValueError(f"the journal holds {kind} twice: it was altered")
        rows = [row["id"] for row in part.get("requirement", ())]
        if len(set(rows)) < len(rows):
            raise ValueError("the journal holds a requirement twice: it was altered")
    return parts


def _measured(parts: Sequence[Part]) -> dict[str, RequirementResult]:
    """The last measurement of each requirement, in the light of all before it."""
    rows: dict[str, list[RequirementResult]] = {}
    for part in parts:
        for event in part.get("requirement", ()):
            row = RequirementResult.model_validate(event)
            rows.setdefault(row.id, []).append(row)
    return {name: _in_the_light_of(before, last) for name, (*before, last) in rows.items()}


def _in_the_light_of(before: Sequence[RequirementResult], last: RequirementResult) -> RequirementResult:
    """What ever failed and passes now is flaky, and a warning stays."""
    if last.outcome is not Outcome.PASSED:
        return last
    for row in before:
        if row.outcome is Outcome.FAILED:
            told = f"Passed after the run was resumed; before: {row.message}"
            return last.model_copy(update={"outcome": Outcome.FLAKY, "message": told})
    return next((row for row in before if row.outcome is Outcome.WARNED), last)


def _gaps(parts: Sequence[Part]) -> list[str]:
    """What is to be said of a run that was cut short and resumed."""
    told = []
    for before, part in pairwise(parts):
        last = max(float(event["time"]) for events in before.values() for event in events)
        resumed = float(part["resumed"][0]["time"])
        told.append(
            f"the run was cut short after {_moment(last)} and resumed at {_moment(resumed)}; everything but "
            "soaks that had come to their end was measured again"
        )
    return told


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _unknown(run: Mapping[str, Any]) -> Isolation:
    """Not measured (yet): nothing is claimed, the demand stays."""
    return Isolation(level="L0", demanded=run["demanded"])


def _unmeasured(row: Mapping[str, Any], ended: bool) -> RequirementResult:
    """What the plan left out, and what the run did not reach."""
    if row["action"] == "not-applicable":
        outcome, message = Outcome.NOT_APPLICABLE, row["reason"]
    elif row["action"] == "not-evidenced":
        outcome, message = Outcome.NOT_EVIDENCED, row["reason"]
    else:
        outcome = Outcome.NOT_EVIDENCED
        message = "planned, but no test measured it" if ended else "the run was interrupted before this"
    # A journal of an earlier version has no effort.
    kept = {"effort": "", **row}
    text = {key: kept[key] for key in (*_TEXT, "counts")}
    return RequirementResult.model_validate({**text, "outcome": outcome, "message": message})
