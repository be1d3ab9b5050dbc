"""The plugin as the suites see it: calls that go to a worker, a fresh one where the last was lost."""

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

GIVE_UP_AFTER = 2


@dataclass(frozen=True)
class Opening:
    """How a candidate is opened: where its files lie, its kind, its entry, and the config it is given."""

    root: Path
    kind: str
    entry: str
    config: Mapping[str, Any]
    load_deadline: float
    call_deadline: float
    # What the plugin may read besides its own files: the folders of models.
    readable: tuple[str, ...] = ()
    # The folder of packages that it needs besides the engine's, and why there is none where it needs some.
    packages: str = ""
    blocked: str = ""


class RemotePlugin:
    """Calls to the candidate in a worker; a lost worker is replaced by a fresh one at the next call. Their
    folders lie below `scratch`."""

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

        Raises LoadFailed, WorkerEnded, TimedOut or MalformedReply the first time, and Unreachable from then on.
        """
        return self._opened()[1]

    def _opened(self) -> tuple[Session, Signature]:
        if self._broken:
            raise self._broken
        if self._session is None or self._signature is None or not self._session.alive:
            # The first loading is the load requirement's own; a later one is a call like any other.
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

    def _ready(self) -> Calls:
        """Calls to the open plugin. Raises as `load`, and Unreachable where it hung again and again: each
        requirement would cost a deadline.
        """
        hung = self.ledger.faults_of(TimedOut)
        if len(hung) >= GIVE_UP_AFTER:
            raise Unreachable(f"Not tried: {len(hung)} calls had no answer in time.", "hung")
        session, _ = self._opened()
        if self._broken:
            raise self._broken
        return self._calls(session)

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
    def _worker_of_its_own(self, config: Mapping[str, Any], instant: bool = False) -> Iterator[Calls]:
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

    def several(self, way: CallStyle, prompt: str, **parameters: Any) -> list[Generation]:
        """The images of a call that is made in this `way`, one or more. Raises as `generate`."""
        return generate_several(self._ready(), {"prompt": prompt, **parameters}, way)

    def sample(
        self,
        entry: str,
        network: Predict,
        noise: Latents,
        steps: int,
        seed: int,
        scheduler_config: Mapping[str, Any],
    ) -> Latents:
        """A run of the plugin's own sampler `entry` ("module:function") with the judge's `network`.

        Raises PluginError for an exception of the sampler, what `network` raises, and other faults as
        `Session.ask`. See `sampling.sample`.
        """
        request = {"entry": entry, "steps": steps, "seed": seed, "scheduler_config": dict(scheduler_config)}
        with self._ready().entering() as session:
            return sample(session, self.opening.call_deadline, request, network, noise)

    def give_up(self, after: float, prompt: str, **parameters: Any) -> None:
        """A call that is cancelled after `after` seconds. Raises as `Session.ask`."""
        SoakedWorker(self._ready()).cancelled({"prompt": prompt, **parameters}, after)

    @contextmanager
    def opened_with(self, **config: Any) -> Iterator[Callable[..., Generation]]:
        """The plugin in a worker of its own with other config values; gives its `generate`.

        Raises LoadFailed where the factory raises with this config.
        """
        with self._worker_of_its_own({**self.opening.config, **config}) as calls:
            yield lambda prompt, **parameters: generate(calls, {"prompt": prompt, **parameters})

    @contextmanager
    def soaking(self, instant: bool = False) -> Iterator[SoakedWorker]:
        """A worker of its own for a soak; with `instant` the engine's networks are left out (see
        `reference_engine.render.instant`).
        """
        with self._worker_of_its_own(self.opening.config, instant) as calls:
            yield SoakedWorker(calls)

    def stand_in(self, leak: int) -> RemotePlugin:
        """The harness's own plugin in this one's place, which keeps `leak` bytes of each call; behind the
        same walls, with a ledger of its own.
        """
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
        raise MalformedReply("a signature out of form", "load") from None
