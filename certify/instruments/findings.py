"""A finding of a static instrument, and its certainty."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Band(str, Enum):
    """The certainty of a finding. The record keeps the letter."""

    # Proof by itself: the plugin is rejected.
    CERTAIN = "A"
    # A strong sign: a warning, until a run confirms or clears it.
    SUSPICIOUS = "B"
    # Information only.
    NOTED = "C"


CERTAIN, SUSPICIOUS, NOTED = Band.CERTAIN, Band.SUSPICIOUS, Band.NOTED


@dataclass(frozen=True, order=True)
class Finding:
    """One fault: `file` is a relative POSIX path, `line` counts from 1 (0: the file as a whole), `rule` is a
    stable slug, `snippet` the source text there (already safe to show), `fix` what to do.
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
        """The finding on up to three lines: place and message, snippet, fix."""
        lines = [f"[{self.band.value}] {self} ({self.rule})"]
        if self.snippet:
            lines.append(f"      > {self.snippet}")
        if self.fix:
            lines.append(f"      {self.fix}")
        return "\n".join(lines)
