"""The connection to one worker: sends requests, receives replies, enforces deadlines by the host's clock."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from certify.sandbox.host.faults import (
    CandidateFault,
    LoadFailed,
    MalformedReply,
    PluginError,
    TimedOut,
    WorkerEnded,
)
from certify.sandbox.host.host import Host
from certify.sandbox.host.pipes import MAX_BUFFERED, OUTPUTS
from certify.sandbox.host.systems.base import Process, describe_exit
from certify.sandbox.protocol import Frame, FrameParser, ProtocolError, pack

LOG_LIMIT = 64 << 10  # bytes
MAX_ANSWER = 96 << 20  # bytes
# Bytes that a worker may write during one request, besides its answer.
MAX_OUTPUT = {"output": 64 << 20, "events": 4 << 20}
_EVENT = b'{"kind": '


Kind = Literal[
    "network",
    "resolved",
    "local",
    "process",
    "write",
    "read",
    "weights",
    "signal",
    "kernel",
    "overflow",
    "noise",
]


class Event(BaseModel):
    """Something that the plugin did or tried. A report of the audit hook (`by` the worker) is a claim, which
    can only add suspicion; a report of the seccomp filter (`by` the kernel) is a fact."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: Kind
    detail: str = Field(max_length=400)
    by: Literal["worker", "kernel"] = "worker"
    refused: bool = False


class _Error(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(max_length=200)
    code: str = Field(max_length=100)
    message: str = Field(max_length=2000)
    remedies: list[str] = Field(max_length=10)
    traceback: str = Field(max_length=4000)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    nonce: str
    ok: bool
    error: _Error | None = None


class _Question(BaseModel):
    """A question of a worker to the host during a request; the other header fields are the question."""

    model_config = ConfigDict(extra="allow", strict=True)

    nonce: str
    turn: int


Respond = Callable[[dict[str, Any], bytes], bytes]
"""Answers a question of the worker from its header and payload. May raise: that ends the session."""


class Ring:
    """The last bytes of a stream, and whether earlier bytes were dropped."""

    def __init__(self, limit: int = LOG_LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        self._data += data
        del self._data[: -self._limit]

    def text(self, characters: int = 4000) -> str:
        cut = "… (cut)\n" if self.total > len(self._data) else ""
        return cut + self._data.decode("utf-8", "replace")[-characters:]


@dataclass
class Reply:
    body: dict[str, Any]
    payload: bytes
    seconds: float


class Session:
    """A worker and its pipes. A fault ends the session: `alive` is False and the process tree is gone."""

    def __init__(
        self,
        host: Host,
        folder: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        readable: Iterable[str] = (),
        limits: dict[str, int] | None = None,
        trusted: bool = False,
    ) -> None:
        """For what `readable`, `limits` and `trusted` mean, see `Host.start_worker`."""
        self.host = host
        self._on_event = on_event
        self._event_text = b""
        self.folder = folder.resolve()
        self.process: Process = host.start_worker(folder, readable, limits, trusted)
        self.alive = True
        self.stdout, self.stderr = Ring(), Ring()
        self._parser = FrameParser(max_payload=MAX_ANSWER)
        self._frames: list[Frame] = []
        self._written = dict.fromkeys(MAX_OUTPUT, 0)

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, operation: str, deadline: float, **body: Any) -> Reply:
        """One request and its reply.

        Raises PluginError where the plugin raised an exception, and WorkerEnded, TimedOut or MalformedReply
        where there is no valid reply; these three end the session.
        """
        return self.converse(operation, deadline, None, **body)

    def converse(
        self, operation: str, deadline: float, respond: Respond | None, payload: bytes = b"", **body: Any
    ) -> Reply:
        """A request during which the worker may ask questions; `respond` gives the answers.

        Questions carry the request's nonce and are numbered from 1; `deadline` is for the whole exchange.
        Raises as `ask` does, and the exceptions of `respond`, which also end the session, because the worker
        waits for an answer.
        """
        nonce = secrets.token_hex(16)
        header = {"op": operation, "nonce": nonce, "deadline": deadline, **body}
        shown = json.dumps(body.get("request", body), ensure_ascii=False, default=str)[:500]
        self._written = dict.fromkeys(MAX_OUTPUT, 0)
        started = time.monotonic()
        try:
            frame = self._exchange(pack(header, payload), started + deadline, shown)
            for turn in itertools.count(1):
                if respond is None or "turn" not in frame.header:
                    break
                self._check_question(frame, nonce, turn, shown)
                answered = pack({"nonce": nonce, "turn": turn}, respond(frame.header, frame.payload))
                frame = self._exchange(answered, started + deadline, shown)
            answer = self._check(frame, nonce, shown)
        except CandidateFault as fault:
            fault.log = fault.log or self.stderr.text()
            self.end()
            raise
        except BaseException:
            self.end()
            raise
        seconds = time.monotonic() - started
        self._take_events()
        if answer.error is not None:
            error = answer.error
            raise PluginError(
                error.message, shown, error.traceback, error.code, error.type, tuple(error.remedies)
            )
        return Reply(frame.header, frame.payload, seconds)

    def _check(self, frame: Frame, nonce: str, shown: str) -> _Answer:
        try:
            answer = _Answer.model_validate(frame.header)
        except ValidationError as error:
            raise MalformedReply(f"an invalid answer: {_first(error)}", shown) from None
        _check_nonce(answer.nonce, nonce, shown)
        if answer.ok == (answer.error is not None):
            raise MalformedReply("an answer that is neither a result nor an error", shown)
        return answer

    def _check_question(self, frame: Frame, nonce: str, turn: int, shown: str) -> None:
        try:
            question = _Question.model_validate(frame.header)
        except ValidationError as error:
            raise MalformedReply(f"an invalid question: {_first(error)}", shown) from None
        _check_nonce(question.nonce, nonce, shown)
        if question.turn != turn or self._frames:
            raise MalformedReply("a question out of turn", shown)

    def _exchange(self, data: bytes, deadline: float, shown: str) -> Frame:
        self.process.pipes.send(data)
        while not self._frames:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut("no answer within the deadline", shown)
            pieces = self.process.pipes.wait(min(left, 1.0))
            self.host.note_events(wait=False)
            for name, piece in pieces:
                self._read(name, piece, shown)
            self._check_output(shown)
            if self.pid in self.host.exits and not self._frames:
                self._drain(shown)
                if not self._frames:
                    raise WorkerEnded(self._how_it_ended(), shown)
        return self._frames.pop(0)

    def _read(self, name: str, data: bytes, shown: str) -> None:
        """Takes data from one of the worker's pipes."""
        if name == "events":
            self._written["events"] += len(data)
            self._read_events(data)
        elif name in ("stdout", "stderr"):
            self._written["output"] += len(data)
            (self.stdout if name == "stdout" else self.stderr).add(data)
        else:
            try:
                self._frames += self._parser.feed(data)
            except ProtocolError as error:
                raise MalformedReply(f"not the protocol: {error}", shown) from None

    def _check_output(self, shown: str) -> None:
        for what, limit in MAX_OUTPUT.items():
            if self._written[what] > limit:
                raise WorkerEnded(f"ended, for it wrote more than {limit >> 20} MiB of {what}", shown)

    def _drain(self, shown: str) -> None:
        """Reads the output written before the end; never waits, because a daemon may keep the pipes open."""
        for name in OUTPUTS:
            for _ in range(200):
                data = self.process.pipes.now(name)
                if not data:
                    break
                self._read(name, data, shown)
                if self._frames:
                    break

    def _read_events(self, data: bytes) -> None:
        """Parses complete lines as events; an invalid line is noise that the plugin wrote to this pipe."""
        *lines, self._event_text = (self._event_text + data).split(b"\n")
        self._event_text = self._event_text[-LOG_LIMIT:]
        noise = False
        # Each distinct line once, and only if it begins like an event: parsing delays the deadline check.
        for line in dict.fromkeys(lines):
            try:
                event = Event.model_validate_json(line) if line.startswith(_EVENT) else None
            except ValidationError:
                event = None
            if event is None:
                noise = True
            else:
                # The worker cannot speak for the kernel.
                self._on_event(Event(kind=event.kind, detail=event.detail))
        if noise:
            self._on_event(Event(kind="noise", detail="a line on the event pipe that is no event"))

    def _take_events(self) -> None:
        # Only the data in the pipe now: a plugin may write without end.
        left = MAX_BUFFERED
        while left > 0 and (data := self.process.pipes.now("events")):
            left -= len(data)
            self._read_events(data)
        if not self.host.lost:
            self.host.note_events()
        for attempt in self.host.attempts.pop(self.pid, []):
            fields = {"kind": attempt.kind, "detail": attempt.detail[:400], "refused": attempt.refused}
            self._on_event(Event.model_validate({**fields, "by": "kernel"}))

    def _how_it_ended(self) -> str:
        limit = self.host.passed_limits.get(self.pid)
        if limit:
            return f"ended by {limit}"
        return describe_exit(self.host.exits[self.pid])

    def end(self) -> None:
        """Ends the worker and its process tree; may be called twice."""
        if not self.alive:
            return
        self.alive = False
        try:
            self.host.kill(self.pid)
        finally:
            self._take_events()
            self.process.pipes.close()


def load_candidate(session: Session, deadline: float, **body: Any) -> Reply:
    """The `load` request; an exception of the plugin becomes LoadFailed."""
    try:
        return session.ask("load", deadline, **body)
    except PluginError as refused:
        raise LoadFailed(
            f"{refused.error_type}: {refused.message}", refused.request, refused.log, refused.code
        ) from None


def _check_nonce(received: str, nonce: str, shown: str) -> None:
    if not secrets.compare_digest(received.encode(), nonce.encode()):
        raise MalformedReply("an answer to a request that was not made (wrong nonce)", shown)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(part) for part in first["loc"]) + ": " + first["msg"]
