"""Text of a candidate as it may be shown."""

from __future__ import annotations

MAX_LINE = 160


def safe(text: str, limit: int = MAX_LINE) -> str:
    """One line of at most `limit` characters: white space as single spaces, and every character that prints
    nothing or moves others as an escape; an ellipsis where it was cut.
    """
    # Cut first: an escape is longer than what it stands for, and a candidate's text may have megabytes.
    words = " ".join(text[: 4 * limit + 4].split())
    shown = "".join(_escaped(character) for character in words[:limit])
    return shown if len(words) <= limit and len(text) <= 4 * limit + 4 else shown + "…"


def _escaped(character: str) -> str:
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"
