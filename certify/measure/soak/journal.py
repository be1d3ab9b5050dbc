"""The journal of a soak: one line per checkpoint, in a hash chain.

It is synced to disk every ten seconds, so a crash loses at most the last line and a power failure the last
ten seconds. A complete segment in the journal is not measured again. Lines are `{"kind": "begin", "sample" or
"end", ..., "chain": SHA-256 of the chain before and of this line without it}`."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from certify.instruments.leaks.judge import Sample
from certify.measure.soak.segment import Segment
from certify.record.journal import open_for_adding

SYNC_EVERY = 10.0  # seconds
START = "0" * 64
INTERRUPTED = "the run was interrupted"
_SEGMENT = TypeAdapter(Segment)
_SAMPLE = TypeAdapter(Sample)


class Altered(ValueError):
    """A line does not follow from the one before it."""


class SoakJournal:
    """The journal of one engine's soak; `segments` are those that it already contains.

    An incomplete last line is removed. Raises OSError, and Altered for any other damage.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        lines, size = read_lines(path)
        self.segments = list(_segments(lines))
        self.head = str(lines[-1]["chain"]) if lines else START
        self._file = os.fdopen(open_for_adding(path), "ab", buffering=0)
        self._file.truncate(size)
        self._synced = clock()

    def begin(self, segment: Segment, **identity: object) -> None:
        """`identity` is the worker's: its pid and its start time."""
        self._write("begin", engine=segment.engine, aim=segment.aim, began=segment.began, worker=identity)
        self._sync()

    def sample(self, sample: Sample) -> None:
        self._write("sample", **sample.to_row())
        if self._clock() - self._synced >= SYNC_EVERY:
            self._sync()

    def end(self, segment: Segment) -> None:
        self._write("end", segment=_SEGMENT.dump_python(segment, mode="json", exclude={"samples"}))
        self._sync()
        self.segments.append(segment)

    def close(self) -> None:
        self._sync()
        self._file.close()

    def _write(self, kind: str, **body: Any) -> None:
        text = json.dumps({"kind": kind, **body})
        self.head = _chained(self.head, text)
        data = f'{text[:-1]}, "chain": "{self.head}"}}\n'.encode()
        while data:
            # A full disk shows as a short write first, then as an error.
            data = data[self._file.write(data) :]

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = self._clock()


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of the hash chain and their size in bytes; none where there is no file.

    Raises Altered where a line breaks the chain, unless it is an incomplete last line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    lines: list[dict[str, Any]] = []
    head, size = START, 0
    for number, raw in enumerate(data.splitlines(keepends=True), 1):
        text, separator, rest = raw.decode("utf-8", "replace").rpartition(', "chain": "')
        head = _chained(head, text + "}")
        if separator and rest == f'{head}"}}\n':
            lines.append({**json.loads(text + "}"), "chain": head})
            size += len(raw)
        elif size + len(raw) == len(data) and not raw.endswith(b"\n"):
            break
        else:
            raise Altered(f"{path}:{number}: does not follow from the line before it")
    return lines, size


def _chained(head: str, text: str) -> str:
    return hashlib.sha256(f"{head}\n{text}".encode()).hexdigest()


def _segments(lines: list[dict[str, Any]]) -> Iterator[Segment]:
    """The segments of the lines; a segment without an end line was interrupted after its last sample."""
    segment: Segment | None = None
    for line in lines:
        body = {key: value for key, value in line.items() if key not in ("kind", "chain")}
        if line["kind"] == "begin":
            if segment is not None:
                yield segment
            body.pop("worker")
            segment = Segment(**body, ended=INTERRUPTED)
        elif segment is None:
            raise Altered("a sample or an end outside any segment")
        elif line["kind"] == "sample":
            sample = _SAMPLE.validate_python(body)
            segment.samples.append(sample)
            segment.calls, segment.seconds, segment.errors = sample.call, sample.seconds, sample.errors
        else:
            ended = _SEGMENT.validate_python(body["segment"])
            ended.samples = segment.samples
            yield ended
            segment = None
    if segment is not None:
        yield segment
