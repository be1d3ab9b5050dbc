"""The type of the callbacks that follow a generation."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the number of steps done and the number of steps in all."""
