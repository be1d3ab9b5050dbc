"""The words and exit codes of a verdict."""

from __future__ import annotations

from typing import Literal

VerdictName = Literal["PASSED", "CERTIFIED", "REJECTED", "INCOMPLETE", "ERROR"]
EXIT_PASSED, EXIT_REJECTED, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_ERROR = 0, 1, 2, 3, 4
