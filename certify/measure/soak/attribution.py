"""Explains a leak: what it consists of, where it was allocated, and its kind of growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from certify.measure.soak.workload import Kind
from certify.sandbox.host.replies import AllocationSite

# An allocation site is regular if its count is at least this share of the traced calls.
REGULAR = 0.4
# Python's allocations explain the growth if they hold at least this share of it.
EXPLAINED = 0.3


@dataclass(frozen=True)
class Attribution:
    """`named` by resource: the names that grew, observed from outside. `sites` are lines of Python that hold
    allocations of `calls` traced calls; as many untraced calls increase memory by `grown` bytes.
    """

    named: Mapping[str, list[tuple[str, int]]] = field(default_factory=dict)
    sites: list[AllocationSite] = field(default_factory=list)
    calls: int = 0
    grown: int = 0

    def lines(self, root: str) -> list[str]:
        """Lines of the plugin below `root` that hold allocations of many calls, most regular first."""
        lines = []
        for site in sorted(self.sites, key=lambda site: -site.count):
            place, _, line = site.place.rpartition(":")
            if PurePath(place).is_relative_to(root) and site.count >= REGULAR * self.calls:
                name = PurePath(place).relative_to(root).as_posix()
                lines.append(
                    f"{name}:{line} holds {site.count / self.calls:.1f} objects and "
                    f"{site.bytes / self.calls:.0f} B of each call"
                )
        return lines

    @property
    def in_python(self) -> bool:
        return self.grown > 0 and sum(site.bytes for site in self.sites) >= EXPLAINED * self.grown


def kind_of_growth(attribution: Attribution, follows: Mapping[Kind, float]) -> str:
    """Leak, growing cache, or native memory; `follows` is the growth in bytes per call by kind of call."""
    if not attribution.in_python:
        return (
            "no line of Python is known to hold it: native memory that is not freed (the extra `leaks` may "
            "name its lines), mapped memory, or memory that the allocator retains"
        )
    new, again = follows.get("unique", 0.0), follows.get("repeated", 0.0)
    if new > 0 and again < new / 4:
        return "a growing cache: it grows with new inputs and not with those that come again"
    return "a leak: something of each call stays, whether its input is new or not"
