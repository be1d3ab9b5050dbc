"""Every call of a run, so that a requirement on every call is judged over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from certify.sandbox.host.faults import CandidateFault, LoadFailed, PluginError
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.session import Event

MAX_EVENTS = 1000


@dataclass
class Ledger:
    """The calls, images, faults and events of a run."""

    # The requirement in flight: calls, faults and events are entered under it.
    requirement: str = ""
    calls: int = 0
    generations: list[Generation] = field(default_factory=list)
    faults: list[tuple[str, CandidateFault]] = field(default_factory=list)
    events: list[tuple[str, Event]] = field(default_factory=list)
    # SHA-256 of the files that were given to the plugin.
    handed: set[str] = field(default_factory=set)
    _entered: Counter[str] = field(default_factory=Counter, repr=False)

    def enter_event(self, event: Event) -> None:
        """Keeps MAX_EVENTS events of a kind; an event `overflow` then marks that there were more."""
        self._entered[event.kind] += 1
        if self._entered[event.kind] <= MAX_EVENTS:
            self.events.append((self.requirement, event))
        elif self._entered[event.kind] == MAX_EVENTS + 1:
            self.events.append((self.requirement, Event(kind="overflow", detail=event.kind)))

    @contextmanager
    def entering_faults(self) -> Iterator[None]:
        """Enters a fault that is raised in the block; an exception of the plugin is not a fault."""
        try:
            yield
        except (PluginError, LoadFailed):
            raise
        except CandidateFault as fault:
            self.faults.append((self.requirement, fault))
            raise

    def absorb(self, other: Ledger) -> None:
        """Adds what another ledger holds, which is not used any more."""
        self.calls += other.calls
        self.generations += other.generations
        self.faults += other.faults
        self.handed |= other.handed
        self.events += other.events

    def faults_of(self, *kinds: type[CandidateFault]) -> list[tuple[str, CandidateFault]]:
        return [(requirement, fault) for requirement, fault in self.faults if isinstance(fault, kinds)]
