"""What became of one requirement."""

from __future__ import annotations

from enum import Enum


class Outcome(str, Enum):
    """What became of one requirement."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    WAIVED = "waived"
    NOT_APPLICABLE = "not-applicable"
    NOT_EVIDENCED = "not-evidenced"
    FLAKY = "flaky"
    ERROR = "error"
