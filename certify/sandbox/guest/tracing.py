"""Finds where held memory was allocated: by memray where it is installed, which also sees native memory, else
by tracemalloc, which sees Python objects only."""

from __future__ import annotations

import gc
import tracemalloc
from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol

MAX_SITES = 20
# Innermost stack frames to search: a plugin calls libraries, which allocate.
DEPTH = 25

Place = dict[str, Any]


class Tracing(Protocol):
    """Traces from its creation; `stop` returns the places with the most held allocations."""

    def stop(self) -> list[Place]: ...


def start_tracing(folder: Path, root: str) -> Tracing:
    """Starts tracing, with a file in `folder` if needed. An allocation is attributed to the innermost line of
    code below `root`, or to its own line where there is none.
    """
    gc.collect()
    try:
        import memray  # noqa: F401
    except ImportError:
        return PythonTracing()
    return NativeTracing(folder, root)


class PythonTracing:
    def __init__(self) -> None:
        tracemalloc.start(1)

    def stop(self) -> list[Place]:
        gc.collect()
        statistics = tracemalloc.take_snapshot().statistics("lineno")
        tracemalloc.stop()
        lines = [(site.traceback[0], site) for site in statistics]
        return _most([_place(frame.filename, frame.lineno, site.count, site.size) for frame, site in lines])


class NativeTracing:
    def __init__(self, folder: Path, root: str) -> None:
        import memray

        self._file, self._root = folder / "allocations.bin", root
        self._file.unlink(missing_ok=True)
        self._tracker = memray.Tracker(self._file, trace_python_allocators=True)
        self._tracker.__enter__()

    def stop(self) -> list[Place]:
        import memray

        gc.collect()
        self._tracker.__exit__(None, None, None)
        held: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        reader = memray.FileReader(self._file)
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            counted = held[self._line(record.stack_trace(max_stacks=DEPTH))]
            counted[0] += record.n_allocations
            counted[1] += record.size
        self._file.unlink(missing_ok=True)
        return _most([_place(file, line, count, size) for (file, line), (count, size) in held.items()])

    def _line(self, stack: list[tuple[str, str, int]]) -> tuple[str, int]:
        for _, file, line in stack:
            if file.startswith(self._root):
                return file, line
        return (stack[0][1], stack[0][2]) if stack else ("<unknown>", 0)


def _place(file: str, line: int, count: int, size: int) -> Place:
    return {"place": f"{file}:{line}", "count": count, "bytes": size}


def _most(places: list[Place]) -> list[Place]:
    return sorted((place for place in places if place["count"] > 1), key=_count, reverse=True)[:MAX_SITES]


def _count(place: Place) -> int:
    return int(place["count"])
