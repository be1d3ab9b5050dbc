"""Traces of what a module allocates, kept in the folder of a model that this engine built itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "allocations.json"
Event = tuple[int, int]
"""Number of a storage, and 1 where it is created or -1 where it is freed."""


@dataclass(frozen=True)
class AllocationTrace:
    """Allocations of one run, in order. `sizes` are bytes by storage number."""

    events: tuple[Event, ...]
    sizes: tuple[int, ...]


def read(model: Path, key: str) -> tuple[AllocationTrace, AllocationTrace] | None:
    """The two traces kept under `key`; None where there are none, or none that can be read."""
    try:
        near, far = json.loads((model / FILE).read_text("utf-8"))[key]
        return _trace(near), _trace(far)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(model: Path, kept: Mapping[str, tuple[AllocationTrace, AllocationTrace]]) -> None:
    """Raises OSError."""
    table = {key: [[row.events, row.sizes] for row in traces] for key, traces in kept.items()}
    draft = model / f".{FILE}"
    draft.write_text(json.dumps(table), "utf-8")
    draft.replace(model / FILE)


def _trace(row: Any) -> AllocationTrace:
    """Raises ValueError or TypeError for anything but a trace."""
    events, sizes = row
    trace = AllocationTrace(
        tuple((int(number), int(sign)) for number, sign in events), tuple(int(size) for size in sizes)
    )
    if not all(0 <= number < len(trace.sizes) and sign in (1, -1) for number, sign in trace.events):
        raise ValueError("an event of no storage")
    return trace
