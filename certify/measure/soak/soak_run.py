"""The soak of a run: beside the other requirements in a thread, or when its result is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from certify.measure.context import Measurement
from certify.measure.soak.strata import Strata, soak_all
from certify.sandbox.host.plugin import RemotePlugin

# Seconds for a thread to notice that its run is over: a checkpoint comes more often.
PATIENCE = 15.0


class _RunOver(BaseException):
    """Raised at a checkpoint of a soak whose run has ended."""


@dataclass
class SoakRun:
    """`plugin` is the run's own. The soak keeps a ledger of its own while it works, which is added to the
    plugin's when the result is first read: what other requirements do meanwhile is entered apart from it.
    """

    plugin: RemotePlugin
    measurement: Measurement
    note: Callable[[str], None]
    _thread: threading.Thread | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _strata: Strata | None = None
    _failure: BaseException | None = None

    def start(self) -> None:
        """Begins beside what follows, once. The host's other workers may come and go meanwhile."""
        if self._thread is None and not self._is_done:
            self._twin = self.plugin.twin("leak.memory")
            self._thread = threading.Thread(target=self._work, args=(self._twin,), name="soak", daemon=True)
            self._thread.start()

    def result(self) -> Strata:
        """The whole soak, once it is done. Raises the candidate's fault that ended it, and Altered."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.plugin.ledger.absorb(self._twin.ledger)
            self._twin.close()
        elif not self._is_done:
            self._work(self.plugin)
        if self._failure is not None:
            raise self._failure
        assert self._strata is not None
        return self._strata

    @property
    def _is_done(self) -> bool:
        return self._strata is not None or self._failure is not None

    def end(self) -> None:
        """Ends the thread of a run that is over; may be called twice."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _work(self, plugin: RemotePlugin) -> None:
        measurement = self.measurement
        entries = measurement.candidate.manifest.plugin.cache_entries or 0
        try:
            self._strata = soak_all(
                plugin, measurement.seed, measurement.profile, self._note, measurement.out, entries
            )
        except BaseException as error:
            self._failure = error

    def _note(self, text: str) -> None:
        if self._over.is_set():
            raise _RunOver
        self.note(text)
