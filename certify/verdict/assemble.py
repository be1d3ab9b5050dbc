"""From the journal to results.json, as a pure function: every output can be written again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from certify.record.results import CandidateRow, CertifyRow, Isolation, RequirementResult, Results
from certify.terms.outcomes import Outcome
from certify.verdict.verdict import decide

# The columns of a requirement in the plan, so that the record can be read alone.
_TEXT = ("id", "suite", "level", "title", "sentence", "source", "why", "fix", "effort")


def assemble(events: Iterable[Mapping[str, Any]]) -> Results:
    """Results from a complete or interrupted journal.

    Raises ValueError where the journal has no run or plan, or where an event lacks a key.
    """
    try:
        return _assemble(events)
    except KeyError as missing:
        raise ValueError(f"an event lacks the key {missing}") from None


def _assemble(events: Iterable[Mapping[str, Any]]) -> Results:
    parts = _parts(events)
    first, by_kind = parts[0], parts[-1]
    if "run" not in first or "plan" not in first:
        raise ValueError("the journal contains no run: it ended before the plan was made")
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
            "verdict": asdict(
                decide(rows, planned, run["profile"], isolation, trouble, interrupted=not ended)
            ),
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
                raise ValueError(f"the journal contains {kind} twice: it was altered")
        rows = [row["id"] for row in part.get("requirement", ())]
        if len(set(rows)) < len(rows):
            raise ValueError("the journal contains a requirement twice: it was altered")
    return parts


def _measured(parts: Sequence[Part]) -> dict[str, RequirementResult]:
    """The last measurement of each requirement, combined with all earlier ones."""
    rows: dict[str, list[RequirementResult]] = {}
    for part in parts:
        for event in part.get("requirement", ()):
            row = RequirementResult.model_validate(event)
            rows.setdefault(row.id, []).append(row)
    return {name: _combined(before, last) for name, (*before, last) in rows.items()}


def _combined(before: Sequence[RequirementResult], last: RequirementResult) -> RequirementResult:
    """A requirement that failed before and passes now is flaky; a warning stays."""
    if last.outcome is not Outcome.PASSED:
        return last
    for row in before:
        if row.outcome is Outcome.FAILED:
            message = f"Passed after the run was resumed; failed before: {row.message}"
            return last.model_copy(update={"outcome": Outcome.FLAKY, "message": message})
    return next((row for row in before if row.outcome is Outcome.WARNED), last)


def _gaps(parts: Sequence[Part]) -> list[str]:
    """The claims about interruptions of a run that was resumed."""
    claims = []
    for before, part in pairwise(parts):
        last = max(float(event["time"]) for events in before.values() for event in events)
        resumed = float(part["resumed"][0]["time"])
        claims.append(
            f"the run was interrupted after {_moment(last)} and resumed at {_moment(resumed)}; everything "
            "except complete soaks was measured again"
        )
    return claims


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _unknown(run: Mapping[str, Any]) -> Isolation:
    """The isolation where it was not measured: L0, with the demand of the profile."""
    return Isolation(level="L0", demanded=run["demanded"])


def _unmeasured(row: Mapping[str, Any], ended: bool) -> RequirementResult:
    """The result of a requirement that was not measured."""
    if row["action"] == "not-applicable":
        outcome, message = Outcome.NOT_APPLICABLE, row["reason"]
    elif row["action"] == "not-evidenced":
        outcome, message = Outcome.NOT_EVIDENCED, row["reason"]
    else:
        outcome = Outcome.NOT_EVIDENCED
        message = (
            "planned, but no test measured this requirement"
            if ended
            else "the run was interrupted before this requirement"
        )
    # A journal of an earlier version has no effort.
    kept = {"effort": "", **row}
    text = {key: kept[key] for key in (*_TEXT, "counts")}
    return RequirementResult.model_validate({**text, "outcome": outcome, "message": message})
