"""What a suite's test needs to speak of requirements.

    @requirement("sdk.same-seed")
    def test_the_same_seed_gives_the_same_image(plugin, draws): ...

A test fails its requirement by `assert condition, "what was seen"` (or by raising Broken), and leaves it
unmeasured by raising NotEvidenced with the reason; NotApplicable says that there is nothing to measure. Any
other exception is the harness's own fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

import pytest

from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding
from certify.record.evidence import EvidenceBox


class Broken(AssertionError):
    """The candidate breaks the requirement; the message says what was seen."""


class NotEvidenced(Exception):
    """It could not be measured here; the message says why. Never a pass."""


class NotApplicable(Exception):
    """The candidate, once asked, has nothing that the demand is about; the message says what it lacks."""


def requirement(identifier: str) -> pytest.MarkDecorator:
    """Joins a test to the row of this id in its suite's requirements.toml."""
    return pytest.mark.requirement(identifier)


MAX_FINDINGS = 40  # that the evidence holds; their number is always said


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
