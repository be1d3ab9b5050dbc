"""What a suite's test needs to speak of requirements.

    @requirement("sdk.same-seed")
    def test_the_same_seed_gives_the_same_image(plugin, draw): ...

A test fails its requirement by `assert condition, "what was seen"` (or by raising Broken), and leaves it
unmeasured by raising NotEvidenced with the reason; NotApplicable says that there is nothing to measure. Any
other exception is the harness's own fault.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from certify.evidence import EvidenceBox
from certify.instruments.findings import Finding


class Broken(AssertionError):
    """The candidate breaks the requirement; the message says what was seen."""


class NotEvidenced(Exception):
    """It could not be measured here; the message says why. Never a pass."""


class NotApplicable(Exception):
    """The candidate, once asked, has nothing that the demand is about; the message says what it lacks."""


def requirement(identifier: str) -> pytest.MarkDecorator:
    """Joins a test to the row of this id in its suite's requirements.toml."""
    return pytest.mark.requirement(identifier)


MAX_TOLD = 40  # findings that the evidence holds; their number is always told


def expect_nothing_certain(findings: Sequence[Finding], evidence: EvidenceBox, doubts: bool = False) -> None:
    """Breaks the requirement where a finding is certain (band A), or with `doubts` a likely one (band B). All
    of them become evidence, each with its band.
    """
    if findings:
        lines = (f"[{row.band}] {row}" for row in sorted(findings, key=lambda row: row.band))
        evidence.text("Findings (A certain, B for a person to look at, C told)", "\n".join(lines))
    bands = ("A", "B") if doubts else ("A",)
    broken = [row for row in findings if row.band in bands]
    if broken:
        more = f" And {len(broken) - 1} more." if len(broken) > 1 else ""
        raise Broken(f"{broken[0]}.{more}")


def expect_none(findings: Sequence[Finding], evidence: EvidenceBox) -> None:
    """Breaks the requirement where a static instrument found anything in band A or B; all is evidence."""
    counted = sorted((finding for finding in findings if finding.band != "C"), key=lambda found: found.band)
    noted = [finding for finding in findings if finding.band == "C"]
    for name, some in (("Findings", counted), ("Noted", noted)):
        if some:
            more = [f"and {len(some) - MAX_TOLD} more"] if len(some) > MAX_TOLD else []
            evidence.text(name, "\n".join([*(finding.told for finding in some[:MAX_TOLD]), *more]))
    if counted:
        raise Broken(f"{len(counted)} found, first {counted[0]}")
