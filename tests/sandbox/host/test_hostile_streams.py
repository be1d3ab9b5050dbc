"""Whatever a worker writes on its pipes ends in an answer or a declared fault: at once, in little memory."""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from certify.sandbox.host import session as sessions
from certify.sandbox.host.faults import CandidateFault, MalformedReply, WorkerEnded
from certify.sandbox.host.host import Host
from certify.sandbox.host.pipes import MAX_BUFFERED, OUTPUTS, SelectedPipes
from certify.sandbox.host.session import MAX_ANSWER, Event, Reply, Session
from certify.sandbox.host.systems.base import Process
from certify.sandbox.host.systems.linux import _pipes
from certify.sandbox.protocol import MAX_HEADER, PREFIX, pack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")
NONCE, PID = "a" * 32, 1
GOOD = pack({"nonce": NONCE, "ok": True, "width": 2, "text": "画"}, b"\x00" * 64)
REFUSAL = pack(
    {
        "nonce": NONCE,
        "ok": False,
        "error": {"type": "E", "code": "", "message": "no", "remedies": [], "traceback": ""},
    }
)
FOR_SEVERAL_EXAMPLES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


@pytest.fixture(autouse=True)
def known_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: NONCE)


class RawWorker:
    """A session whose worker is this test: `write` to its pipes, and what events came."""

    def __init__(self) -> None:
        ours, self.theirs = _pipes()
        pipes = SelectedPipes(ours[0], dict(zip(OUTPUTS, ours[1:], strict=True)))
        self.events: list[Event] = []
        host = SimpleNamespace(
            start_worker=lambda *_: Process(PID, pipes),
            note_events=lambda **_: None,
            kill=lambda _: None,
            exits={},
            passed_limits={},
            attempts={},
            lost="",
        )
        self.exits: dict[int, int] = host.exits
        self.session = Session(cast(Host, host), Path("nowhere"), self.events.append)

    @property
    def answers(self) -> int:
        return self.theirs[1]

    @property
    def event_pipe(self) -> int:
        return self.theirs[4]

    def end(self) -> None:
        """The worker has exited: whatever it wrote lies in the pipes."""
        self.exits[PID] = 0

    def ask(self, deadline: float = 10) -> Reply | CandidateFault:
        started = time.monotonic()
        try:
            return self.session.ask("generate", deadline, request={})
        except CandidateFault as fault:
            return fault
        finally:
            assert time.monotonic() - started < deadline + 2

    def close(self) -> None:
        self.session.end()
        for descriptor in self.theirs:
            os.close(descriptor)


@contextmanager
def raw_worker() -> Iterator[RawWorker]:
    one = RawWorker()
    try:
        yield one
    finally:
        one.close()


def answered(stream: bytes) -> Reply | CandidateFault:
    """What becomes of a call that a worker answers by `stream`, and then exits."""
    with raw_worker() as worker:
        os.write(worker.answers, stream)
        worker.end()
        return worker.ask()


def test_what_is_damaged_here_is_sound() -> None:
    reply = answered(GOOD)
    assert isinstance(reply, Reply) and (reply.body["text"], len(reply.payload)) == ("画", 64)
    assert type(answered(REFUSAL)).__name__ == "PluginError"


@pytest.mark.parametrize("sound", [GOOD, REFUSAL])
def test_an_answer_cut_at_any_byte_is_an_end_without_one(sound: bytes) -> None:
    for length in range(len(sound)):
        assert isinstance(answered(sound[:length]), WorkerEnded), f"cut after {length} bytes"


@pytest.mark.parametrize("sound", [GOOD, REFUSAL])
def test_a_hundred_damaged_answers_are_answers_or_faults(sound: bytes) -> None:
    source, refused = random.Random(4), 0
    for _ in range(100):
        damaged = bytearray(sound)
        for _ in range(source.randint(1, 100)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        refused += isinstance(answered(bytes(damaged)), CandidateFault)
    assert refused > 80


@given(st.binary(max_size=400))
@FOR_SEVERAL_EXAMPLES
def test_no_bytes_trip_it(data: bytes) -> None:
    assert isinstance(answered(data), CandidateFault)


texts = st.text(st.characters(), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)
known = st.sampled_from(["ok", "error", "acts", "width", "result", "nonce"])


@given(
    st.dictionaries(texts | known, values, max_size=6),
    st.sampled_from(["utf-8", "utf-16", "utf-32", "latin-1"]),
)
@example({"ok": True, "text": "\udcff", "\ud800": 1}, "utf-8")
@example({"ok": True, "number": float("nan")}, "utf-8")
@example({"ok": True, "text": "é"}, "latin-1")
@FOR_SEVERAL_EXAMPLES
def test_no_header_trips_it(header: dict[str, Any], encoding: str) -> None:
    text = json.dumps({"nonce": NONCE, **header}, ensure_ascii=encoding != "latin-1")
    data = text.encode(encoding, "replace")
    came = answered(PREFIX.pack(len(data), 0) + data)
    if encoding != "utf-8" and encoding != "latin-1":
        assert isinstance(came, MalformedReply), "headers are UTF-8"


@pytest.mark.parametrize(
    "text", [b'{"nonce": "\xed\xa0\x80", "ok": true}', b'\xef\xbb\xbf{"ok": true}', b"\xff\xfe{\0}\0"]
)
def test_what_is_no_utf_8_is_refused(text: bytes) -> None:
    assert isinstance(answered(PREFIX.pack(len(text), 0) + text), MalformedReply)


@pytest.mark.parametrize("sizes", [(MAX_HEADER + 1, 0), (2, MAX_ANSWER + 1), (2**32 - 1, 2**32 - 1)])
def test_a_huge_answer_is_refused_before_any_memory_is_taken(sizes: tuple[int, int]) -> None:
    with raw_worker() as worker:
        os.write(worker.answers, PREFIX.pack(*sizes))
        tracemalloc.start()
        try:
            assert isinstance(worker.ask(), MalformedReply)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()


@given(
    st.lists(
        st.binary(max_size=120) | st.sampled_from([b"\n", b'{"kind": "write", "detail": "/x"}\n']), max_size=8
    )
)
@FOR_SEVERAL_EXAMPLES
def test_no_bytes_on_the_event_pipe_trip_it_and_only_events_come_of_them(pieces: list[bytes]) -> None:
    with raw_worker() as worker:
        for piece in pieces:
            worker.session._read_events(piece)
        assert all(event.by == "worker" and not event.refused for event in worker.events)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "kernel", "detail": "x", "by": "kernel", "refused": true}',
        b'{"kind": "signal", "detail": "x", "by": "kernel"}',
    ],
)
def test_a_worker_cannot_speak_for_the_kernel(line: bytes) -> None:
    with raw_worker() as worker:
        worker.session._read_events(line + b"\n")
        assert [(event.by, event.refused) for event in worker.events] == [("worker", False)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "made-up", "detail": "x"}',
        b'{"kind": "write"}',
        b"[]",
        b'{"kind": "write", "detail": 1}',
        b"\xff",
    ],
)
def test_a_line_that_is_no_event_is_noise(line: bytes) -> None:
    with raw_worker() as worker:
        worker.session._read_events(line + b"\n")
        assert [event.kind for event in worker.events] == ["noise"]


def test_noise_does_not_push_an_event_out() -> None:
    first, last = (b'{"kind": "network", "detail": "connect 127.0.0.1:%d"}\n' % port for port in (8, 9))
    with raw_worker() as worker:
        os.write(worker.event_pipe, first + b"\n" * (MAX_BUFFERED - 2 * len(first)) + last)
        os.write(worker.answers, GOOD)
        assert isinstance(worker.ask(), Reply)
        kinds = [event.kind for event in worker.events]
    assert kinds.count("network") == 2
    assert 1 <= kinds.count("noise") < 100


def test_a_flood_of_noise_is_judged_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[bytes] = []
    validate = Event.model_validate_json

    def count(line: bytes) -> Event:
        judged.append(line)
        return validate(line)

    monkeypatch.setattr(Event, "model_validate_json", count)
    event = b'{"kind": "network", "detail": "connect 127.0.0.1:9"}\n'
    with raw_worker() as worker:
        worker.session._read_events(b"".join(b"{%d\n" % number for number in range(50_000)) + 1000 * event)
        assert [event.kind for event in worker.events] == ["network", "noise"]
    assert judged == [event.strip()]


def test_a_line_without_an_end_is_not_kept_whole() -> None:
    with raw_worker() as worker:
        for _ in range(100):
            worker.session._read_events(b"x" * (1 << 16))
        assert len(worker.session._event_text) <= sessions.LOG_LIMIT


@pytest.mark.parametrize("pipe", [1, 2, 3, 4], ids=["answers", "stdout", "stderr", "events"])
@pytest.mark.parametrize("exits", [False, True])
def test_a_worker_that_writes_without_end_holds_nobody_up(pipe: int, exits: bool) -> None:
    with raw_worker() as worker:
        stop = threading.Event()
        if not exits and pipe != 1:
            os.write(worker.answers, GOOD)

        def write() -> None:
            os.set_blocking(worker.theirs[pipe], False)
            while not stop.is_set():
                try:
                    os.write(worker.theirs[pipe], b'{"kind": "write", "detail": "/x"}\n' * 100)
                except BlockingIOError:
                    stop.wait(0.0001)
                except BrokenPipeError:
                    return

        writer = threading.Thread(target=write)
        writer.start()
        if exits:
            worker.end()
        try:
            came = worker.ask(deadline=5)
        finally:
            stop.set()
            writer.join()
        # It may have ended before the first of what it wrote.
        expected = (*([WorkerEnded] if exits else []), MalformedReply if pipe == 1 else Reply)
        assert isinstance(came, expected)
