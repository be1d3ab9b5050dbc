"""Profiles: which requirements count, how long a run measures, and the isolation it demands."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from certify.errors import UserError, did_you_mean

ORDER = ("quick", "store", "certified")


@dataclass(frozen=True)
class Profile:
    """Durations are in seconds by the judge's clock; counts are calls of `generate_image`. `soak_*` are for
    the real engine, `instant_*` for the instant engine, `loads` is the number of loads. Where the worker of a
    soak ends, the soak continues in a new worker, in at most `segments` segments.
    """

    name: str
    isolation: str
    soak_seconds: float
    soak_calls: int
    load_deadline: float = 180.0
    call_deadline: float = 60.0
    instant_seconds: float = 4.0
    instant_calls: int = 3_000
    loads: int = 0
    segments: int = 1
    # Whether the soak may work beside other requirements: for one that lasts seconds.
    soak_beside: bool = False

    def includes(self, counts_from: str) -> bool:
        """Whether a requirement that counts from profile `counts_from` on counts here."""
        return ORDER.index(counts_from) <= ORDER.index(self.name)

    def with_soak(self, seconds: float) -> Profile:
        """A longer soak of the real engine, with as many more calls; never a shorter one."""
        times = max(1.0, seconds / self.soak_seconds)
        return replace(
            self, soak_seconds=self.soak_seconds * times, soak_calls=math.ceil(self.soak_calls * times)
        )

    def with_deadline(self, seconds: float) -> Profile:
        return replace(self, call_deadline=seconds, load_deadline=max(seconds, 1.0))


PROFILES = {
    "quick": Profile("quick", isolation="L1", soak_seconds=13, soak_calls=600, soak_beside=True),
    "store": Profile(
        "store",
        isolation="L2",
        soak_seconds=240,
        soak_calls=12_000,
        instant_seconds=60,
        instant_calls=24_000,
        loads=64,
    ),
    "certified": Profile(
        "certified",
        isolation="L2",
        soak_seconds=86_400,
        soak_calls=10_000_000,
        instant_seconds=600,
        instant_calls=192_000,
        loads=512,
        segments=8,
    ),
}


def profile_named(name: str) -> Profile:
    if name not in PROFILES:
        raise UserError(f'There is no profile "{name}".', did_you_mean(name, PROFILES) or _known())
    return PROFILES[name]


def _known() -> str:
    return "Known profiles: " + ", ".join(ORDER) + "."
