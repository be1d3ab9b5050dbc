"""What a suite's test needs to speak of requirements.

    @requirement("sdk.same-seed")
    def test_the_same_seed_gives_the_same_image(plugin, draw): ...

A test fails its requirement by `assert condition, "what was seen"` (or by raising Broken), and leaves it
unmeasured by raising NotEvidenced with the reason. Any other exception is the harness's own fault.
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


def requirement(identifier: str) -> pytest.MarkDecorator:
    """Joins a test to the row of this id in its suite's requirements.toml."""
    return pytest.mark.requirement(identifier)


MAX_TOLD = 40  # findings that the evidence holds; their number is always told


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
