"""Standard streams that the caller may close or stop reading (`| head -1`, `>&-`); the run continues."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from certify.errors import UserError


def ready() -> None:
    """Connects closed streams (`>&-`) to the null device, before another file gets their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or nowhere()
    sys.stderr = sys.stderr or nowhere()
    for stream in (sys.stdout, sys.stderr):
        # A locale that lacks a character must not make the run fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def say(line: str, stream: IO[str] | None = None) -> None:
    """Prints a line, by default on stdout. Where the reader went away (`| head -1`), or the stream is closed
    or missing, the output is discarded and the run continues."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        mute(stream)


def report_mistake(error: UserError) -> int:
    """Prints a user's mistake on stderr, and gives the exit code."""
    say(f"certify: {error.message}", sys.stderr)
    if error.hint:
        say(f"  {error.hint}", sys.stderr)
    return error.exit_code


def mute(stream: IO[str]) -> None:
    """Discards the stream and its buffer: otherwise Python's last flush would exit with 120."""
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def settle() -> None:
    """The last flush, so that Python's own cannot fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            mute(stream)


class Outliving:
    """A stream for rich, which would otherwise end the process where the reader goes away."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._forgiving():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._forgiving():
            self._stream.flush()

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            mute(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
