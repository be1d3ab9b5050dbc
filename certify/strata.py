"""All that is soaked of one plugin: the real engine at its smallest size, and the instant one; with proof.

Each stratum has a smallest leak of its own that it can see, and a canary that shows that it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from certify.canary import compare, plant
from certify.draw import Draw
from certify.host.remote import RemotePlugin
from certify.instruments.leaks import LeakVerdict, worst
from certify.profiles import Profile
from certify.soak import Soak, soak

# What no acceleration sees, for the report.
BLIND_SPOTS = (
    "what a clock feeds: timers, keep-alives, rotations, daily dates; growth that only images or models of a "
    "real size cause; loading and unloading of models; caches larger than a quarter of the calls; inputs "
    "that were not drawn; what begins after the run; a plugin that behaves while it is watched"
)


@dataclass
class Strata:
    """The soaks of one plugin; `without` says why there is no instant one. `canaries` by engine;
    `root` is the plugin's folder, as its worker sees it, and `cache_entries` how many it declares
    to keep on purpose."""

    real: Soak
    instant: Soak | None = None
    without: str = ""
    canaries: dict[str, LeakVerdict | None] = field(default_factory=dict)
    root: Path = Path()
    cache_entries: int = 0

    def fills_a_cache(self, one: Soak) -> bool:
        """Whether a cache of the declared size may still be filling: the first quarter of the calls never
        counts, so it takes four times its entries.
        """
        return one.calls < 4 * self.cache_entries

    @property
    def all(self) -> list[Soak]:
        return [self.real] if self.instant is None else [self.real, self.instant]

    @property
    def blind(self) -> list[str]:
        """The engines whose soak found no growth in memory, but not the planted one either."""
        return [
            one.engine
            for one in self.all
            if one.memory.verdict == "CLEAN"
            and (canary := self.canaries.get(one.engine)) is not None
            and canary.verdict != "LEAK"
        ]


def soak_all(
    plugin: RemotePlugin, root: str, profile: Profile, note: Callable[[str], None], cache: int = 0
) -> Strata:
    """Soaks every stratum that this plugin has, with requests drawn from the seed `root`; `cache` entries
    are kept on purpose.

    A leak in the real engine's soak is enough. Faults of the candidate are raised.
    """
    strata = Strata(
        soak(plugin, Draw(root, "leak.memory"), profile, note),
        root=plugin.opening.root,
        cache_entries=cache,
    )
    _prove(strata, strata.real, plugin, root)
    if worst(strata.real.verdicts) == "LEAK":
        strata.without = "not soaked, since the real engine's soak found a leak"
    elif plugin.opening.kind != "native":
        strata.without = "a pipeline of diffusers has no engine of the SDK's to leave out"
    else:
        draw = Draw(root, "leak.memory", "instant")
        strata.instant = soak(plugin, draw, profile, note, instant=True)
        _prove(strata, strata.instant, plugin, root)
    return strata


def _prove(strata: Strata, done: Soak, plugin: RemotePlugin, root: str) -> None:
    """Compares a finding with a run that keeps nothing, and none with one that keeps what is planted."""
    draw = Draw(root, "leak.memory", f"canary {done.engine}")
    if done.memory.verdict == "LEAK" and done.capped is None:
        done.reference = compare(plugin, draw, done)
    elif done.memory.verdict == "CLEAN":
        strata.canaries[done.engine] = plant(plugin, draw, done)
