"""Isolation levels, from none to namespaces of its own (docs/architecture.md)."""

from __future__ import annotations

LEVELS = ("L0", "L1", "L2", "L3")


def meets(level: str, demanded: str) -> bool:
    """Whether isolation `level` is at least `demanded`; raises ValueError for an unknown level."""
    return LEVELS.index(level) >= LEVELS.index(demanded)
