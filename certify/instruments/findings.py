"""What a static instrument found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One fault: `file` is a relative POSIX path, `line` counts from 1 (0: the file as a whole), `rule` is a
    stable slug.
    """

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"
