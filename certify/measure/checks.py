"""The requirement marker, outcomes and findings check for the tests of the suites.

    @requirement("sdk.same-seed")
    def test_the_same_seed_gives_the_same_image(plugin, draws): ...

A test fails its requirement by `assert condition, "the observation"` or by raising Broken. It raises
NotEvidenced with the reason where it cannot measure, and NotApplicable where there is nothing to measure. Any
other exception is an error of the harness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import TypeVar

from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding
from certify.record.evidence import EvidenceBox


class Broken(AssertionError):
    """The candidate breaks the requirement; the message is the observation."""


class NotEvidenced(Exception):
    """The requirement could not be measured here; the message is the reason. It is never a pass."""


class NotApplicable(Exception):
    """The requirement does not apply to the candidate; the message is the reason."""


_Test = TypeVar("_Test", bound=Callable[..., None])


def requirement(identifier: str) -> Callable[[_Test], _Test]:
    """Links a test to the requirement with this id in its suite's requirements.toml.

    An attribute and no mark of pytest: static tests are also run without it.
    """

    def join(test: _Test) -> _Test:
        test.requirement = identifier  # type: ignore[attr-defined]
        return test

    return join


def requirement_of(test: object) -> str:
    """The id that a test is linked to; empty where there is none."""
    return str(getattr(test, "requirement", ""))


MAX_FINDINGS = 40  # listed in the evidence; their total is always shown


def reject_findings(
    findings: Iterable[Finding], evidence: EvidenceBox, bands: Set[Band] = frozenset({CERTAIN, SUSPICIOUS})
) -> None:
    """Breaks the requirement where a finding is in one of `bands`; all findings become evidence."""
    rows = sorted(findings, key=lambda row: row.band)
    broken = [row for row in rows if row.band in bands]
    for name, some in (("Findings", broken), ("Noted", [row for row in rows if row.band not in bands])):
        if some:
            more = [f"and {len(some) - MAX_FINDINGS} more"] if len(some) > MAX_FINDINGS else []
            evidence.text(name, "\n".join([*(row.text for row in some[:MAX_FINDINGS]), *more]))
    if broken:
        more_of_them = f" And {len(broken) - 1} more." if len(broken) > 1 else ""
        raise Broken(f"{broken[0]}.{more_of_them}")
