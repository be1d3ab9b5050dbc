"""The plugin as the suites see it: calls that go to a worker, answers that are checked, faults that are kept.

Every call of a run is entered in the ledger, so that demands on *every* call are judged over all of them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from certify.host.claims import SITES, ClaimedPicture, Inside, Signature, Site
from certify.host.faults import CallRefused, CandidateFault, Hung, LoadFailed, Misspoke
from certify.host.launch import Host
from certify.host.pictures import Way, parts_of
from certify.host.sampling import Latents, Predict, sample
from certify.host.session import Event, Reply, Session, load_candidate

Pixels = npt.NDArray[np.uint8]
GIVE_UP_AFTER = 2
MAX_EVENTS = 1000
# A picture with this many times the pixels asked for, or a PNG of this many times their bytes, is no answer.
MAX_AREA, MAX_PNG = 4, 2


@dataclass(frozen=True, eq=False)
class Generation:
    """A picture that came back: RGB pixels (height, width, 3), the PNG's bytes, and what was told of it."""

    request: Mapping[str, Any]
    pixels: Pixels = field(repr=False)
    png: bytes = field(repr=False)
    facts: Mapping[str, str | int | bool]
    seconds: float
    requirement: str

    def same_pixels(self, other: Generation) -> bool:
        return self.pixels.shape == other.pixels.shape and bool(np.array_equal(self.pixels, other.pixels))


@dataclass
class Ledger:
    """Everything that passed between the run and the plugin."""

    calls: int = 0
    generations: list[Generation] = field(default_factory=list)
    faults: list[tuple[str, CandidateFault]] = field(default_factory=list)
    events: list[tuple[str, Event]] = field(default_factory=list)
    # SHA-256 of the files that were handed to the plugin.
    handed: set[str] = field(default_factory=set)
    _entered: Counter[str] = field(default_factory=Counter, repr=False)

    def enter_event(self, requirement: str, event: Event) -> None:
        """Keeps so many events of a kind; what goes beyond is told as an overflow, not dropped unsaid."""
        self._entered[event.kind] += 1
        if self._entered[event.kind] <= MAX_EVENTS:
            self.events.append((requirement, event))
        elif self._entered[event.kind] == MAX_EVENTS + 1:
            self.events.append((requirement, Event(kind="overflow", detail=event.kind)))

    def faults_of(self, *kinds: type[CandidateFault]) -> list[tuple[str, CandidateFault]]:
        return [(requirement, fault) for requirement, fault in self.faults if isinstance(fault, kinds)]


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


class Unreachable(Exception):
    """The plugin cannot be asked (any more); the reason names the requirement that tells why."""


class RemotePlugin:
    """Calls to the candidate in a worker; a lost worker is replaced by a fresh one at the next call. Their
    folders lie below `scratch`."""

    def __init__(self, host: Host, scratch: Path, opening: Opening, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.opening = opening
        self.requirement = ""
        self._host = host
        self.scratch = scratch
        self._session: Session | None = None
        self._signature: Signature | None = None
        self._broken = ""
        self._numbers = itertools.count(1)

    def load(self) -> Signature:
        """Opens the plugin in a fresh worker unless it is open.

        Raises LoadFailed, WorkerEnded, Hung or Misspoke the first time, and Unreachable from then on.
        """
        if self._broken or self.opening.blocked:
            raise Unreachable(self._broken or self.opening.blocked)
        if self._session is None or not self._session.alive:
            # The first loading is sdk.entry-loads' own; a later one is a call like any other.
            first = self._signature is None
            try:
                with nullcontext() if first else self._entered():
                    self._session, self._signature = self._open(self.opening.config)
            except CandidateFault as fault:
                told = ": see sdk.entry-loads." if first else " after its process had ended."
                self._broken = f"The plugin did not load ({fault.message[:200]}){told}"
                raise
        assert self._signature is not None
        if not self._signature.asynchronous:
            self._broken = "The plugin has no asynchronous generate_image: see sdk.entry-loads."
        return self._signature

    def _ready(self) -> None:
        self.load()
        if self._broken:
            raise Unreachable(self._broken)

    def _open(self, config: Mapping[str, Any], instant: bool = False) -> tuple[Session, Signature]:
        folder = self.scratch / f"worker-{next(self._numbers)}"
        given = (str(self.opening.root), *self.opening.readable, self.opening.packages)
        readable = [path for path in given if path]
        session = Session(self._host, folder, self._note_event, readable)
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

    def generate(self, prompt: str, **parameters: Any) -> Generation:
        """One picture. Raises CallRefused for an exception of the plugin; other faults see `Session.ask`."""
        self._check_patience()
        self._ready()
        assert self._session is not None
        return self._generate(self._session, {"prompt": prompt, **parameters})

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

        Raises CallRefused for an exception of the sampler, what `network` raises, and other faults as
        `Session.ask`. See `sampling.sample`.
        """
        self._check_patience()
        self._ready()
        assert self._session is not None
        request = {"entry": entry, "steps": steps, "seed": seed, "scheduler_config": dict(scheduler_config)}
        self.ledger.calls += 1
        with self._entered():
            return sample(self._session, self.opening.call_deadline, request, network, noise)

    def several(self, way: Way, prompt: str, **parameters: Any) -> list[Generation]:
        """The pictures of a call that is made in this `way`, one or more. Raises as `generate`."""
        self._check_patience()
        self._ready()
        assert self._session is not None
        return self._asked(self._session, {"prompt": prompt, **parameters}, way=way)

    def give_up(self, after: float, prompt: str, **parameters: Any) -> None:
        """A call that is cancelled after so many seconds. Raises as `Session.ask`."""
        self._check_patience()
        self._ready()
        assert self._session is not None
        SoakedWorker(self, self._session).cancelled({"prompt": prompt, **parameters}, after)

    def _generate(self, session: Session, request: dict[str, Any], keep: bool = True) -> Generation:
        return self._asked(session, request, keep)[0]

    def _asked(
        self, session: Session, request: dict[str, Any], keep: bool = True, way: Way | None = None
    ) -> list[Generation]:
        self.ledger.calls += 1
        with self._entered():
            try:
                if way is None:
                    replies = [session.ask("generate", self.opening.call_deadline, request=request)]
                else:
                    replies = parts_of(way.ask(session, self.opening.call_deadline, request))
                made = [_generation(reply, request, self.requirement) for reply in replies]
            except CallRefused:
                raise
            except CandidateFault:
                session.end()
                raise
        if keep:
            self.ledger.generations += made
        return made

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Enters a fault into the ledger; an exception of the plugin is no fault."""
        try:
            yield
        except (CallRefused, LoadFailed):
            raise
        except CandidateFault as fault:
            self.ledger.faults.append((self.requirement, fault))
            raise

    def _check_patience(self) -> None:
        """A plugin that hangs again and again would cost a deadline for each requirement."""
        hung = self.ledger.faults_of(Hung)
        if len(hung) >= GIVE_UP_AFTER:
            raise Unreachable(f"Not tried: {len(hung)} calls had no answer in time; see sdk.answers-in-time.")

    @contextmanager
    def opened_with(self, **config: Any) -> Iterator[Callable[..., Generation]]:
        """The plugin in a worker of its own with other config values; gives its `generate`.

        Raises LoadFailed where the factory raises with this config.
        """
        self._check_patience()
        self._ready()
        with self._entered():
            session, _ = self._open({**self.opening.config, **config})
        try:
            yield lambda prompt, **parameters: self._generate(session, {"prompt": prompt, **parameters})
        finally:
            session.end()

    @contextmanager
    def soaking(self, instant: bool = False) -> Iterator[SoakedWorker]:
        """A worker of its own for a soak, whose process can be measured from outside; with `instant` the
        engine's networks are left out (see `reference_engine.render.instant`).
        """
        self._check_patience()
        self._ready()
        with self._entered():
            session, _ = self._open(self.opening.config, instant)
        try:
            yield SoakedWorker(self, session)
        finally:
            session.end()

    def stand_in(self, leak: int) -> RemotePlugin:
        """The harness's own plugin in this one's place, which keeps `leak` bytes of each call; behind the
        same walls, with a ledger of its own.
        """
        opening = replace(self.opening, kind="stand-in", entry="", config={"leak": leak}, packages="")
        return RemotePlugin(self._host, self.scratch / f"stand-in-{next(self._numbers)}", opening)

    def _note_event(self, event: Event) -> None:
        self.ledger.enter_event(self.requirement, event)

    def close(self) -> None:
        if self._session is not None:
            self._session.end()
            self._session = None


class SoakedWorker:
    """The worker under a soak: calls that are not kept, and quiet moments to measure it in."""

    def __init__(self, plugin: RemotePlugin, session: Session) -> None:
        self._plugin = plugin
        self._session = session

    @property
    def pid(self) -> int:
        return self._session.pid

    @property
    def folder(self) -> Path:
        return self._session.folder

    def hand_over(self, suffix: str, data: bytes) -> Path:
        """Puts a file where the worker can read it. Its name is new: a plugin that owns the folder could have
        laid a link there."""
        file = self.folder / "work" / f"{secrets.token_hex(8)}{suffix}"
        with file.open("xb") as out:
            out.write(data)
        file.chmod(0o644)
        self._plugin.ledger.handed.add(hashlib.sha256(data).hexdigest())
        return file

    def call(self, request: dict[str, Any], keep: bool = False) -> Generation:
        return self._plugin._generate(self._session, dict(request), keep=keep)

    def together(self, requests: list[dict[str, Any]]) -> int:
        """Several calls at once; how many raised, as the worker tells it."""
        self._plugin.ledger.calls += len(requests)
        told = self._ask("together", requests=requests).body.get("errors")
        return told if isinstance(told, int) else 0

    def cancelled(self, request: dict[str, Any], after: float) -> None:
        """A call that is cancelled after so many seconds."""
        self._plugin.ledger.calls += 1
        self._ask("cancelled", request=request, after=after)

    def reload(self, request: dict[str, Any]) -> None:
        """The plugin opened once more, called, closed and let go."""
        self._plugin.ledger.calls += 1
        self._ask("reload", request=request)

    def trace(self) -> list[Site]:
        """Starts tracing Python's allocations, and at the second asking ends it and tells what is held."""
        body = self._ask("trace").body.get("sites")
        try:
            return SITES.validate_python(body)
        except ValidationError:
            raise Misspoke("traced sites out of form", "trace") from None

    def freeze(self) -> None:
        self._ask("freeze")

    def quiesce(self) -> Inside:
        """Collect and trim, and what the worker then tells of itself."""
        body = self._ask("quiesce").body
        try:
            return Inside.model_validate({name: body.get(name) for name in Inside.model_fields})
        except ValidationError:
            raise Misspoke("a quiet moment out of form", "quiesce") from None

    def _ask(self, operation: str, **body: Any) -> Reply:
        with self._plugin._entered():
            return self._session.ask(operation, self._plugin.opening.call_deadline, **body)


def _signature(reply: Reply) -> Signature:
    try:
        return Signature.model_validate(reply.body.get("signature"))
    except ValidationError:
        raise Misspoke("a signature out of form", "load") from None


def _generation(reply: Reply, request: dict[str, Any], requirement: str) -> Generation:
    shown = json.dumps(request, ensure_ascii=False)[:500]
    if "no_picture" in reply.body:
        raise Misspoke(f"no picture came back, but {str(reply.body['no_picture'])[:300]}", shown)
    try:
        picture = ClaimedPicture.model_validate(
            {key: value for key, value in reply.body.items() if key not in ("nonce", "ok")}
        )
    except ValidationError as error:
        raise Misspoke(f"not a picture: {error.error_count()} fields out of form", shown) from None
    asked = int(request.get("width", 1024)) * int(request.get("height", 1024))
    if picture.width * picture.height > MAX_AREA * asked:
        raise Misspoke(
            f"an image of {picture.width} x {picture.height} pixels, far over what was asked", shown
        )
    if picture.png_bytes > MAX_PNG * picture.pixel_bytes + (1 << 20):
        raise Misspoke(f"a PNG of {picture.png_bytes} bytes for {picture.pixel_bytes} bytes of pixels", shown)
    if picture.pixel_bytes != picture.width * picture.height * 3:
        raise Misspoke("the pixels do not fit the size that was told", shown)
    if len(reply.payload) != picture.pixel_bytes + picture.png_bytes:
        raise Misspoke("fewer or more bytes than were told", shown)
    pixels = np.frombuffer(reply.payload, np.uint8, picture.pixel_bytes)
    return Generation(
        request=request,
        pixels=pixels.reshape(picture.height, picture.width, 3),
        png=reply.payload[picture.pixel_bytes :],
        facts=picture.result,
        seconds=reply.seconds,
        requirement=requirement,
    )
