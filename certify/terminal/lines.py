"""Single lines for a terminal or a CI log: the sign of an outcome, and text that acts on neither."""

from __future__ import annotations

import re

from certify.terms.outcomes import Outcome
from certify.text import safe

SIGNS = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.FAILED: ("✗", "bold red"),
    Outcome.WARNED: ("!", "yellow"),
    Outcome.WAIVED: ("w", "yellow"),
    Outcome.NOT_APPLICABLE: ("-", "dim"),
    Outcome.NOT_EVIDENCED: ("?", "magenta"),
    Outcome.FLAKY: ("~", "magenta"),
    Outcome.ERROR: ("E", "bold red"),
}


def sign(outcome: Outcome) -> str:
    return SIGNS[outcome][0]


def log_line(text: str, limit: int = 200) -> str:
    """`safe`, and no command of a CI system: GitHub and Azure read `::` and `##` at a line's beginning."""
    return re.sub(r"([:#])(?=\1)", "\\1\u200b", safe(text, limit))
