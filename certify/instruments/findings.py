"""What a static instrument found, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# A: the presence proves it, and rejects. B: a strong sign, which warns until a run confirms or clears it.
# C: information, which a reader may want and nothing is decided by.
Band = Literal["A", "B", "C"]

MAX_SNIPPET = 160


@dataclass(frozen=True, order=True)
class Finding:
    """One fault: `file` is a relative POSIX path, `line` counts from 1 (0: the file as a whole), `rule` is a
    stable slug, `snippet` what stands there (already safe to show), `fix` what to do.
    """

    file: str
    line: int
    rule: str
    message: str
    band: Band = "A"
    snippet: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"

    @property
    def told(self) -> str:
        """The finding on up to three lines: place and sentence, what stands there, what to do."""
        lines = [f"[{self.band}] {self} ({self.rule})"]
        if self.snippet:
            lines.append(f"      > {self.snippet}")
        if self.fix:
            lines.append(f"      {self.fix}")
        return "\n".join(lines)


def safe(text: str, limit: int = MAX_SNIPPET) -> str:
    """One line of a candidate's text, as it may be shown: cut, and with every character that prints nothing
    or moves others written as an escape.
    """
    cut = text[: limit + 1].strip()
    shown = "".join(_escaped(character) for character in cut[:limit])
    return shown if len(cut) <= limit else shown + "…"


def _escaped(character: str) -> str:
    if character == "\t":
        return " "
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"
