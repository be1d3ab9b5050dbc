"""The progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import IO, Protocol, cast

from rich.cells import set_cell_size
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as Bar,
)

from certify.record.results import RequirementResult
from certify.terminal.lines import SIGNS, log_line, sign
from certify.terminal.streams import Outliving, say
from certify.terms.outcomes import Outcome


class Progress(Protocol):
    def begin(self, planned: int, seconds: float) -> None: ...
    def start(self, identifier: str, title: str) -> None: ...
    def note(self, text: str) -> None: ...
    def finish(self, result: RequirementResult) -> None: ...
    def end(self) -> None: ...


class Silent:
    """No display, for runs inside tests."""

    def begin(self, planned: int, seconds: float) -> None: ...
    def start(self, identifier: str, title: str) -> None: ...
    def note(self, text: str) -> None: ...
    def finish(self, result: RequirementResult) -> None: ...
    def end(self) -> None: ...


class PlainLines:
    """One line per requirement and a heartbeat each minute, for CI logs."""

    HEARTBEAT = 60.0

    def __init__(self) -> None:
        self._planned = self._done = 0
        self._last = time.monotonic()

    def begin(self, planned: int, seconds: float) -> None:
        self._planned = planned
        self._say(f"{planned} requirements, about {seconds:.0f} s")

    def start(self, identifier: str, title: str) -> None:
        pass

    def note(self, text: str) -> None:
        if time.monotonic() - self._last > self.HEARTBEAT:
            self._say("  ... " + log_line(text))

    def finish(self, result: RequirementResult) -> None:
        self._done += 1
        line = f"[{self._done:>2}/{self._planned}] {sign(result.outcome)} {result.id}  {result.outcome.value}"
        first = next(iter(result.message.strip().splitlines()), "")
        message = f": {log_line(first)}" if first and result.outcome is not Outcome.PASSED else ""
        self._say(f"{line}{message}  ({result.seconds:.1f} s)")

    def end(self) -> None:
        pass

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        say(line)


class Live:
    """A bar with the current requirement, the count and the time; finished requirements scroll above it.

    The widths fit into 80 columns, also after a day ("1 day, 0:00:00"); the bar needs a wider terminal.
    """

    NAME, LEFT = 25, 30
    WIDE = 92

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *([BarColumn(bar_width=10)] if console.width >= self.WIDE else []),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
        )
        self._started = time.monotonic()
        self._seconds = 0.0

    def begin(self, planned: int, seconds: float) -> None:
        self._seconds = seconds
        name, left = self._name("starting"), self._rest(f"about {seconds:.0f} s in all")
        self._task = self._bar.add_task(name, total=planned, left=left)
        self._bar.start()

    def start(self, identifier: str, title: str) -> None:
        self._bar.update(self._task, description=self._name(identifier), left=self._left())

    def note(self, text: str) -> None:
        self._bar.update(self._task, left=self._rest(log_line(text)))

    def finish(self, result: RequirementResult) -> None:
        mark, style = SIGNS[result.outcome]
        first = next(iter(result.message.strip().splitlines()), "")
        message = f"  {log_line(first)}" if result.outcome is not Outcome.PASSED else ""
        self._console.print(f"{mark} {result.id}{message}", style=style, markup=False, highlight=False)
        self._bar.update(self._task, advance=1, left=self._left())

    def end(self) -> None:
        self._bar.stop()

    def _left(self) -> str:
        left = self._seconds - (time.monotonic() - self._started)
        return self._rest(f"about {left:.0f} s left" if left > 1 else "nearly done")

    def _name(self, text: str) -> str:
        return set_cell_size(text, self.NAME)

    def _rest(self, text: str) -> str:
        return set_cell_size(text, self.LEFT)


def choose_progress() -> Progress:
    """`Live` on a terminal outside CI; `PlainLines` otherwise."""
    # Python has no stdout at all where the caller closed it.
    if sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("CI"):
        return Live(Console(file=cast("IO[str]", Outliving(sys.stdout))))
    return PlainLines()
