"""The verdict: a pure function of the results. Computed at the end of a run, and again by its readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from certify.terms.isolation import meets
from certify.terms.outcomes import Outcome
from certify.terms.verdicts import EXIT_ERROR, EXIT_INCOMPLETE, EXIT_PASSED, EXIT_REJECTED, VerdictName

_GOOD = {Outcome.PASSED, Outcome.WARNED, Outcome.WAIVED, Outcome.NOT_APPLICABLE}


class Row(Protocol):
    """The part of a requirement's result that the verdict needs."""

    @property
    def id(self) -> str: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def message(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def counts(self) -> bool: ...


class Walls(Protocol):
    """The part of the isolation that the verdict needs; `needed` is False where nothing was executed."""

    @property
    def level(self) -> str: ...
    @property
    def demanded(self) -> str: ...
    @property
    def needed(self) -> bool: ...


@dataclass(frozen=True)
class Verdict:
    name: VerdictName
    reasons: tuple[str, ...]
    exit_code: int


def decide(
    rows: Sequence[Row],
    planned: int,
    profile: str,
    isolation: Walls,
    trouble: str = "",
    interrupted: bool = False,
) -> Verdict:
    """REJECTED before ERROR before INCOMPLETE before PASSED.

    A requirement that was measured as failed rejects, whatever else went wrong. A run never passes with an
    unmeasured requirement that counts, a missing row, isolation below the demand, or no measurement at all.
    `trouble` describes a fault of the harness; `interrupted` is true where the record has no end.
    """
    counted = [row for row in rows if row.counts]
    failed = [row for row in counted if row.outcome is Outcome.FAILED]
    if failed:
        return Verdict(
            name="REJECTED", reasons=tuple(_reason(row) for row in failed), exit_code=EXIT_REJECTED
        )
    errors = [_reason(row) for row in counted if row.outcome is Outcome.ERROR]
    if trouble or errors:
        reasons = tuple([trouble] if trouble else []) + tuple(errors)
        return Verdict(name="ERROR", reasons=reasons, exit_code=EXIT_ERROR)
    gaps = _gaps(rows, counted, planned, isolation)
    if interrupted:
        gaps.insert(0, "The run was interrupted before its end.")
    if gaps:
        return Verdict(name="INCOMPLETE", reasons=tuple(gaps), exit_code=EXIT_INCOMPLETE)
    name: VerdictName = "CERTIFIED" if profile == "certified" else "PASSED"
    return Verdict(name, (), EXIT_PASSED)


def _gaps(
    rows: Sequence[Row],
    counted: Sequence[Row],
    planned: int,
    isolation: Walls,
) -> list[str]:
    gaps = _in_groups([row for row in counted if row.outcome not in _GOOD])
    ran = sum(row.attempts > 0 for row in rows)
    if ran < planned:
        gaps.append(f"Only {ran} of {planned} planned requirements ran.")
    if ran == 0:
        gaps.append("No requirement was measured.")
    if isolation.needed and not meets(isolation.level, isolation.demanded):
        gaps.append(
            f"The measured isolation is {isolation.level}, but the profile demands {isolation.demanded}."
        )
    return gaps


def _in_groups(rows: Sequence[Row]) -> list[str]:
    """One reason per row; more than three rows with the same message share one reason."""
    by_message: dict[str, list[Row]] = {}
    for row in rows:
        by_message.setdefault(row.message, []).append(row)
    reasons = []
    for message, group in by_message.items():
        if len(group) > 3:
            reasons.append(f"{len(group)} requirements: {message[:300]}")
        else:
            reasons += [_reason(row) for row in group]
    return reasons


def _reason(row: Row) -> str:
    first = row.message.strip().splitlines()
    return f"{row.id}: {first[0][:300] if first else row.outcome.value}"
