"""From the journal to results.json: a pure function, so that any output can be made again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from certify.plan import PlanRow
from certify.record import (
    CandidateRow,
    CertifyRow,
    Isolation,
    Outcome,
    RequirementResult,
    Results,
)
from certify.verdict import decide


def plan_event(rows: Iterable[PlanRow]) -> list[dict[str, Any]]:
    """The plan as the journal keeps it: each requirement's text goes with it, so a record explains itself."""
    return [
        {
            **row.requirement.model_dump(
                mode="json", include={"id", "suite", "level", "title", "sentence", "source", "why", "fix"}
            ),
            "counts": row.counts,
            "action": row.action,
            "reason": row.reason,
        }
        for row in rows
    ]


def assemble(events: Iterable[Mapping[str, Any]]) -> Results:
    """Results from a journal, whole or cut short.

    Raises ValueError where it holds no run and plan, or where an event lacks what it must have.
    """
    try:
        return _assemble(events)
    except KeyError as missing:
        raise ValueError(f"an event lacks {missing}") from None


def _assemble(events: Iterable[Mapping[str, Any]]) -> Results:
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(str(event.get("event")), []).append(event)
    if "run" not in by_kind or "plan" not in by_kind:
        raise ValueError("the journal holds no run: it ended before the plan was made")
    for kind in ("run", "plan", "isolation", "end"):
        if len(by_kind.get(kind, ())) > 1:
            raise ValueError(f"the journal holds {kind} twice: it was altered")
    run, plan = by_kind["run"][0], by_kind["plan"][0]
    measured = {row["id"]: RequirementResult.model_validate(row) for row in by_kind.get("requirement", [])}
    if len(measured) < len(by_kind.get("requirement", ())):
        raise ValueError("the journal holds a requirement twice: it was altered")
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
            "claims": tuple(row["text"] for row in by_kind.get("claim", [])),
            "requirements": rows,
            "started": run["started"],
            "seconds": ended.get("seconds", 0.0),
            "suites": run["suites"],
            "repeat": run["repeat"],
        }
    )


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
    kept = {
        key: row[key]
        for key in ("id", "suite", "level", "counts", "title", "sentence", "source", "why", "fix")
    }
    return RequirementResult.model_validate({**kept, "outcome": outcome, "message": message})
