"""All soaks of one plugin, called strata: the real engine at its smallest size, the instant engine, and
loading.

Each stratum has its own smallest detectable leak, and a canary that proves it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from certify.instruments.leaks.judge import LeakVerdict
from certify.measure.randomness import Draws
from certify.measure.soak.canary import compare, plant
from certify.measure.soak.journal import SoakJournal
from certify.measure.soak.reloading import soak_loads
from certify.measure.soak.runner import soak
from certify.measure.soak.segment import Segment, longest
from certify.plan.profiles import Profile
from certify.sandbox.host.plugin import RemotePlugin

# What a soak cannot detect, for the report.
BLIND_SPOTS = (
    "what a clock feeds: timers, keep-alives, rotations, daily dates; growth that only images or models of a "
    "real size cause; caches larger than a quarter of the calls; inputs that were not drawn; what begins "
    "after the run; a plugin that behaves while it is watched"
)
NO_LOADS = "loading and unloading, which profiles store and certified soak"


@dataclass
class Strata:
    """The soaks of one plugin; `without` is why there is no instant soak. `earlier` are earlier incomplete
    segments, and `heads` the last hash of each journal by engine. `canaries` are verdicts by engine; `root`
    is the plugin's folder as its worker sees it, and `cache_entries` the declared number of cache entries.
    `seconds` is the planned length of the real engine's soak."""

    real: Segment
    instant: Segment | None = None
    loads: Segment | None = None
    without: str = ""
    earlier: list[Segment] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    canaries: dict[str, LeakVerdict | None] = field(default_factory=dict)
    root: Path = Path()
    cache_entries: int = 0
    seconds: float = 0.0

    def fills_a_cache(self, segment: Segment) -> bool:
        """Whether a cache of the declared size may still be filling: the first quarter of the calls never
        counts, so it takes four times its entries.
        """
        return segment.engine != "loads" and segment.calls < 4 * self.cache_entries

    @property
    def all(self) -> list[Segment]:
        """The last segment of each stratum."""
        return [segment for segment in (self.real, self.instant, self.loads) if segment is not None]

    def segments(self, engine: str) -> list[Segment]:
        """Every segment of this engine's soak, in order."""
        return [segment for segment in (*self.earlier, *self.all) if segment.engine == engine]

    @property
    def short(self) -> str:
        """Why the real engine's soak is shorter than planned; empty where it is not."""
        segments = self.segments("real")
        if self.real.aim >= self.seconds or self.real.leaks:
            return ""
        lasted = longest(segments)
        ended = next(segment.ended for segment in segments if segment.ended)
        return f"The longest segment lasted {lasted:.0f} s of {self.seconds:.0f} s: one ended, for {ended}."

    @property
    def blind(self) -> list[str]:
        """The engines whose soak detected no growth of memory, and missed the planted leak too."""
        return [
            segment.engine
            for segment in self.all
            if segment.memory.verdict == "CLEAN"
            and (canary := self.canaries.get(segment.engine)) is not None
            and canary.verdict != "LEAK"
        ]


def soak_all(
    plugin: RemotePlugin,
    root: str,
    profile: Profile,
    note: Callable[[str], None],
    folder: Path,
    cache: int = 0,
) -> Strata:
    """Soaks every stratum of this plugin, with requests drawn from the seed `root` and the journals in
    `folder`; the plugin declares `cache` entries.

    It stops after a leak of the real engine. Raises faults of the candidate, and Altered for a changed
    journal.
    """
    strata = Strata(Segment(), root=plugin.opening.root, cache_entries=cache, seconds=profile.soak_seconds)
    strata.real = _soak(strata, "real", plugin, root, profile, note, folder)
    _prove(strata, strata.real, plugin, root)
    if strata.real.leaks:
        strata.without = "not soaked, since the real engine's soak found a leak"
        return strata
    if plugin.opening.kind != "native":
        strata.without = "a pipeline of diffusers has no engine of the SDK's to leave out"
    else:
        strata.instant = _soak(strata, "instant", plugin, root, profile, note, folder)
        _prove(strata, strata.instant, plugin, root)
    if profile.loads:
        strata.loads = soak_loads(plugin, Draws(root, "leak.memory", "loads"), profile.loads, note)
        _prove(strata, strata.loads, plugin, root)
    return strata


def _soak(
    strata: Strata,
    engine: str,
    plugin: RemotePlugin,
    root: str,
    profile: Profile,
    note: Callable[[str], None],
    folder: Path,
) -> Segment:
    """The last segment of this engine's soak; the segments before it are added to `earlier`."""
    with closing(SoakJournal(folder / f"soak-{engine}.ndjson")) as journal:
        *earlier, last = soak(plugin, root, profile, note, journal, instant=engine == "instant")
        strata.earlier += earlier
        strata.heads[engine] = journal.head
    return last


def _prove(strata: Strata, done: Segment, plugin: RemotePlugin, root: str) -> None:
    """Compares a leak with a stand-in without a leak, and checks a clean result with a planted leak."""
    draws = Draws(root, "leak.memory", f"canary {done.engine}")
    if done.memory.verdict == "LEAK" and done.capped is None:
        done.reference = compare(plugin, draws, done)
    elif done.memory.verdict == "CLEAN":
        strata.canaries[done.engine] = plant(plugin, draws, done)
