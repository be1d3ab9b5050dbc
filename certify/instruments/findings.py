"""A finding of a static instrument, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Band(str, Enum):
    """How sure a finding is. The record keeps the letter."""

    # Its presence proves it: it rejects.
    CERTAIN = "A"
    # A strong sign: it warns, until a run confirms or clears it.
    SUSPICIOUS = "B"
    # Information: nothing is decided by it.
    NOTED = "C"


CERTAIN, SUSPICIOUS, NOTED = Band.CERTAIN, Band.SUSPICIOUS, Band.NOTED


@dataclass(frozen=True, order=True)
class Finding:
    """One fault: `file` is a relative POSIX path, `line` counts from 1 (0: the file as a whole), `rule` is a
    stable slug, `snippet` what stands there (already safe to show), `fix` what to do.
    """

    file: str
    line: int
    rule: str
    message: str
    band: Band = CERTAIN
    snippet: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"

    @property
    def text(self) -> str:
        """The finding on up to three lines: place and sentence, what stands there, what to do."""
        lines = [f"[{self.band.value}] {self} ({self.rule})"]
        if self.snippet:
            lines.append(f"      > {self.snippet}")
        if self.fix:
            lines.append(f"      {self.fix}")
        return "\n".join(lines)
