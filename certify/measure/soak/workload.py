"""The requests of a soak: a mix of kinds of calls, so that a leak in each kind can show.

When something grows, separate calls of each kind show which of them causes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from certify.measure.randomness import Draws

Kind = Literal["unique", "repeated", "sizes", "refused", "together", "cancelled"]
KINDS: tuple[Kind, ...] = get_args(Kind)
REPEATED = 8
# Of 20 works, one is refused (for leaks on the error path), one is cancelled, and one is several calls at
# once.
CYCLE = 20
TOGETHER = 3
# Seconds after which a call is cancelled; a fast call may have ended by then.
GIVEN_UP_AFTER = 0.01
SIZES = ((72, 64), (64, 96), (96, 72))


@dataclass(frozen=True)
class Work:
    """One call, or several at once."""

    kind: Kind
    requests: tuple[dict[str, Any], ...]


class Workload:
    """An endless mix of works, drawn from `draws`."""

    def __init__(self, draws: Draws) -> None:
        self._draw = draws
        self._repeated = [draws.request() for _ in range(REPEATED)]

    def __iter__(self) -> Iterator[Work]:
        return (self.of(_kind(number)) for number in itertools.count(1))

    def of(self, kind: Kind) -> Work:
        """One work of this kind."""
        if kind == "repeated":
            return Work(kind, (self._draw.random.choice(self._repeated),))
        if kind == "sizes":
            width, height = self._draw.random.choice(SIZES)
            return Work(kind, (self._draw.request(width=width, height=height),))
        if kind == "refused":
            return Work(kind, (self._draw.request(steps=4),))
        count = TOGETHER if kind == "together" else 1
        return Work(kind, tuple(self._draw.request() for _ in range(count)))


def _kind(number: int) -> Kind:
    place = number % CYCLE
    rare: dict[int, Kind] = {0: "refused", 10: "cancelled", 15: "together", 5: "sizes"}
    return rare.get(place) or ("repeated" if number % 3 == 0 else "unique")
