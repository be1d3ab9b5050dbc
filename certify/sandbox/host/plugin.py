"""The plugin as the suites see it: calls go to a worker, and a lost worker is replaced."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from certify.sandbox.host.calls import Calls
from certify.sandbox.host.faults import CandidateFault, MalformedReply, TimedOut, Unreachable
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.host import Host
from certify.sandbox.host.image_calls import CallStyle, generate, generate_several
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.replies import Signature
from certify.sandbox.host.sampler_calls import Latents, Predict, sample
from certify.sandbox.host.session import Reply, Session, load_candidate
from certify.sandbox.host.soaked_worker import SoakedWorker

GIVE_UP_AFTER = 2  # timeouts


@dataclass(frozen=True)
class Opening:
    """How a candidate is opened: the folder of its files, its kind, its entry, and its config."""

    root: Path
    kind: str
    entry: str
    config: Mapping[str, Any]
    load_deadline: float
    call_deadline: float
    # Folders of models that the plugin may read besides its own files.
    readable: tuple[str, ...] = ()
    # The folder of its additional packages, and why there is none although it needs some.
    packages: str = ""
    blocked: str = ""


class RemotePlugin:
    """Calls the candidate in a worker below `scratch`; after a loss the next call starts a fresh worker."""

    def __init__(self, host: Host, scratch: Path, opening: Opening, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.opening = opening
        self.scratch = scratch
        self._host = host
        self._session: Session | None = None
        self._signature: Signature | None = None
        self._broken: Unreachable | None = Unreachable(opening.blocked) if opening.blocked else None
        self._numbers = itertools.count(1)

    def load(self) -> Signature:
        """Opens the plugin in a fresh worker unless it is open.

        Raises LoadFailed, WorkerEnded, TimedOut or MalformedReply the first time, and Unreachable from then
        on."""
        return self._opened()[1]

    def _opened(self) -> tuple[Session, Signature]:
        if self._broken:
            raise self._broken
        if self._session is None or self._signature is None or not self._session.alive:
            # The load requirement judges the first load; a later load is a call like any other.
            first = self._signature is None
            try:
                with nullcontext() if first else self.ledger.entering_faults():
                    self._session, self._signature = self._open(self.opening.config)
            except CandidateFault as fault:
                when = "" if first else " after its process had ended"
                message = f"The plugin did not load{when} ({fault.message[:200]})."
                self._broken = Unreachable(message, "load-failed" if first else None)
                raise
        if not self._signature.asynchronous:
            message = "The plugin has no asynchronous generate_image."
            self._broken = Unreachable(message, "load-failed")
        return self._session, self._signature

    @property
    def is_open(self) -> bool:
        """Whether it was loaded and can be called."""
        return self._signature is not None and self._broken is None

    def twin(self, requirement: str) -> RemotePlugin:
        """The same plugin in workers of its own, with a ledger that is used for `requirement` alone."""
        ledger = Ledger(requirement=requirement)
        twin = RemotePlugin(self._host, self.scratch / f"twin-{next(self._numbers)}", self.opening, ledger)
        twin._signature = self._signature
        return twin

    def _ready(self) -> Calls:
        """Calls to the open plugin. Raises as `load`, and Unreachable after repeated timeouts: otherwise each
        requirement would wait for a full timeout.
        """
        self._check_patience()
        session, _ = self._opened()
        if self._broken:
            raise self._broken
        return self._calls(session)

    def _check_patience(self) -> None:
        timeouts = self.ledger.faults_of(TimedOut)
        if len(timeouts) >= GIVE_UP_AFTER:
            raise Unreachable(f"Not tried: {len(timeouts)} calls had no answer in time.", "timed-out")

    def _calls(self, session: Session) -> Calls:
        return Calls(session, self.ledger, self.opening.call_deadline)

    def _open(self, config: Mapping[str, Any], instant: bool = False) -> tuple[Session, Signature]:
        folder = self.scratch / f"worker-{next(self._numbers)}"
        granted = (str(self.opening.root), *self.opening.readable, self.opening.packages)
        readable = [path for path in granted if path]
        session = Session(self._host, folder, self.ledger.enter_event, readable)
        try:
            reply = load_candidate(
                session,
                self.opening.load_deadline,
                root=str(self.opening.root),
                kind=self.opening.kind,
                entry=self.opening.entry,
                config=dict(config),
                allowed=[str(session.folder), *self._host.own_memory],
                packages=self.opening.packages,
                instant=instant,
            )
            return session, _signature(reply)
        except CandidateFault:
            session.end()
            raise

    @contextmanager
    def _separate_worker(self, config: Mapping[str, Any], instant: bool = False) -> Iterator[Calls]:
        if self.is_open:
            # Its own worker need not be alive for this.
            self._check_patience()
        else:
            self._ready()
        with self.ledger.entering_faults():
            session, _ = self._open(config, instant)
        try:
            yield self._calls(session)
        finally:
            session.end()

    def generate(self, prompt: str, **parameters: Any) -> Generation:
        """One image. Raises PluginError for an exception of the plugin; other faults see `Session.ask`."""
        return generate(self._ready(), {"prompt": prompt, **parameters})

    def several(self, style: CallStyle, prompt: str, **parameters: Any) -> list[Generation]:
        """The images of a call that is made in this `style`, one or more. Raises as `generate`."""
        return generate_several(self._ready(), {"prompt": prompt, **parameters}, style)

    def sample(
        self,
        entry: str,
        network: Predict,
        noise: Latents,
        steps: int,
        seed: int,
        scheduler_config: Mapping[str, Any],
    ) -> Latents:
        """Runs the plugin's own sampler `entry` ("module:function") with the host's `network`.

        Raises PluginError for an exception of the sampler, the exceptions of `network`, and other faults as
        `Session.ask`. See `sampler_calls.sample`.
        """
        request = {"entry": entry, "steps": steps, "seed": seed, "scheduler_config": dict(scheduler_config)}
        with self._ready().entering() as session:
            return sample(session, self.opening.call_deadline, request, network, noise)

    def give_up(self, after: float, prompt: str, **parameters: Any) -> None:
        """Makes a call and cancels it after `after` seconds. Raises as `Session.ask`."""
        SoakedWorker(self._ready()).cancelled({"prompt": prompt, **parameters}, after)

    @contextmanager
    def opened_with(self, **config: Any) -> Iterator[Callable[..., Generation]]:
        """Opens the plugin in a separate worker with other config values; gives its `generate`.

        Raises LoadFailed where the factory raises with this config.
        """
        with self._separate_worker({**self.opening.config, **config}) as calls:
            yield lambda prompt, **parameters: generate(calls, {"prompt": prompt, **parameters})

    @contextmanager
    def soaking(self, instant: bool = False) -> Iterator[SoakedWorker]:
        """A separate worker for a soak; with `instant` the engine's networks are left out (see
        `reference_engine.render.instant`).
        """
        with self._separate_worker(self.opening.config, instant) as calls:
            yield SoakedWorker(calls)

    def stand_in(self, leak: int) -> RemotePlugin:
        """A plugin of the harness in place of this one, which leaks `leak` bytes per call; it has the same
        walls and a separate ledger."""
        opening = replace(self.opening, kind="stand-in", entry="", config={"leak": leak}, packages="")
        return RemotePlugin(self._host, self.scratch / f"stand-in-{next(self._numbers)}", opening)

    def close(self) -> None:
        if self._session is not None:
            self._session.end()
            self._session = None


def _signature(reply: Reply) -> Signature:
    try:
        return Signature.model_validate(reply.body.get("signature"))
    except ValidationError:
        raise MalformedReply("an invalid signature", "load") from None
