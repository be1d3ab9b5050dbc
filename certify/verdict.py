"""The verdict: a pure function of the results. Computed at the end of a run, and again by its readers."""

from __future__ import annotations

from collections.abc import Sequence

from certify.record import Isolation, Outcome, RequirementResult, VerdictRow, meets

EXIT_PASSED, EXIT_REJECTED, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_ERROR = 0, 1, 2, 3, 4
_GOOD = {Outcome.PASSED, Outcome.WARNED, Outcome.WAIVED, Outcome.NOT_APPLICABLE}


def decide(
    rows: Sequence[RequirementResult],
    planned: int,
    profile: str,
    isolation: Isolation,
    trouble: str = "",
    interrupted: bool = False,
) -> VerdictRow:
    """REJECTED before ERROR before INCOMPLETE before PASSED.

    A demand that was soundly measured as broken stands, whatever else went wrong; nothing unmeasured that
    counts, no missing row, no isolation below the demand, and no empty run ever passes. `trouble` is what
    went wrong in the harness itself; `interrupted` where the record has no end.
    """
    counted = [row for row in rows if row.counts]
    failed = [row for row in counted if row.outcome is Outcome.FAILED]
    if failed:
        return VerdictRow(
            name="REJECTED", reasons=tuple(_reason(row) for row in failed), exit_code=EXIT_REJECTED
        )
    errors = [_reason(row) for row in counted if row.outcome is Outcome.ERROR]
    if trouble or errors:
        reasons = tuple([trouble] if trouble else []) + tuple(errors)
        return VerdictRow(name="ERROR", reasons=reasons, exit_code=EXIT_ERROR)
    gaps = _gaps(rows, counted, planned, isolation)
    if interrupted:
        gaps.insert(0, "The run was interrupted before its end.")
    if gaps:
        return VerdictRow(name="INCOMPLETE", reasons=tuple(gaps), exit_code=EXIT_INCOMPLETE)
    name = "CERTIFIED" if profile == "certified" else "PASSED"
    return VerdictRow.model_validate({"name": name, "reasons": (), "exit_code": EXIT_PASSED})


def _gaps(
    rows: Sequence[RequirementResult],
    counted: Sequence[RequirementResult],
    planned: int,
    isolation: Isolation,
) -> list[str]:
    gaps = _in_groups([row for row in counted if row.outcome not in _GOOD])
    ran = sum(row.attempts > 0 for row in rows)
    if ran < planned:
        gaps.append(f"Only {ran} of {planned} planned requirements ran.")
    if ran == 0:
        gaps.append("Nothing was executed.")
    if isolation.needed and not meets(isolation.level, isolation.demanded):
        gaps.append(f"Isolation {isolation.level} was measured; this profile demands {isolation.demanded}.")
    return gaps


def _in_groups(rows: Sequence[RequirementResult]) -> list[str]:
    """A reason for each row; rows that share one message beyond three are told together."""
    by_message: dict[str, list[RequirementResult]] = {}
    for row in rows:
        by_message.setdefault(row.message, []).append(row)
    reasons = []
    for message, group in by_message.items():
        if len(group) > 3:
            reasons.append(f"{len(group)} requirements: {message[:300]}")
        else:
            reasons += [_reason(row) for row in group]
    return reasons


def _reason(row: RequirementResult) -> str:
    first = row.message.strip().splitlines()
    return f"{row.id}: {first[0][:300] if first else row.outcome.value}"
