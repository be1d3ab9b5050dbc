"""Calls are decided by registers and reported with the caller's memory, whatever it contains."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.sandbox.host.session import Event
from certify.sandbox.jail.filter import CLONE_NEW, PATHS
from certify.sandbox.jail.notify import Attempt, Bounds, Memory, Syscall, describe_address, is_below, judge

OWN, FOREIGN, WORK, GIVEN = 7, 4242, "/scratch/worker", "/opt/model"
BOUNDS = Bounds(lambda target: target == OWN, (WORK,), (GIVEN,))
AT, ADDRESS_AT, HEAD_AT = 0x1000, 0x2000, 0x3000
AT_FDCWD = (1 << 32) - 100
words = st.integers(0, 2**64 - 1)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the caller's memory is read by way of /proc")


class FakeMemory(Memory):
    """Bytes at addresses; the links that a real one reads in /proc are `links`."""

    def __init__(self, places: dict[int, bytes]) -> None:
        self.places = places

    def read(self, pid: int, address: int, size: int) -> bytes:
        return self.places.get(address, b"")[:size]


def judged(
    call: str, arguments: Sequence[int], places: dict[int, bytes] | None = None
) -> tuple[bool, Attempt | None]:
    words = (*arguments, *[0] * (6 - len(arguments)))
    return judge(Syscall(1, os.getpid(), call, words), BOUNDS, FakeMemory(places or {}))


def opened(path: str, flags: int = os.O_RDONLY) -> Attempt | None:
    allowed, attempt = judged("openat", [AT_FDCWD, AT, flags], {AT: path.encode() + b"\0rest"})
    assert allowed, "Landlock and the namespaces refuse files; the filter only tells"
    return attempt


def inet(address: str, port: int) -> bytes:
    return struct.pack("=H", 2) + struct.pack(">H", port) + socket.inet_pton(2, address) + bytes(8)


def inet6(address: str, port: int) -> bytes:
    return struct.pack("=H", 10) + struct.pack(">HI", port, 0) + socket.inet_pton(10, address) + bytes(4)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (inet("127.0.0.1", 8080), ("network", "127.0.0.1:8080")),
        (inet6("::1", 443), ("network", "::1:443")),
        (b"\1\0/run/service.sock\0junk", ("local", "/run/service.sock")),
        (b"\1\0\0service", ("local", "@service")),
        (b"\1\0", None),
        (b"\1\0\xff\xfe\0", ("local", "\\xff\\xfe")),
        (b"", None),
        (b"\2", None),
        (inet("127.0.0.1", 1)[:6], ("network", "an address of family 2")),
        (b"\x11\0anything", ("network", "an address of family 17")),
    ],
)
def test_an_address_is_told(raw: bytes, expected: tuple[str, str] | None) -> None:
    assert describe_address(raw) == expected


@given(
    st.binary(max_size=140)
    | st.builds(bytes.__add__, st.sampled_from([b"\1\0", b"\2\0", b"\n\0"]), st.binary(max_size=130))
)
def test_no_address_trips_it_and_what_it_tells_can_travel(raw: bytes) -> None:
    address = describe_address(raw)
    if address is not None:
        assert address[0] in ("network", "local")
        address[1].encode("utf-8")


@pytest.mark.parametrize("call", ["kill", "tkill", "tgkill"])
def test_signals_reach_its_own_processes_alone(call: str) -> None:
    def sent(target: int, number: int) -> tuple[bool, Attempt | None]:
        middle = [target] if call == "tgkill" else []
        return judged(call, [target % 2**32, *middle, number])

    assert sent(OWN, signal.SIGTERM) == (True, None)
    assert sent(FOREIGN, 0) == (False, None)
    for target in (FOREIGN, 1, -1):
        allowed, attempt = sent(target, signal.SIGKILL)
        assert not allowed and attempt is not None
        assert (attempt.kind, attempt.refused) == ("signal", True)
        assert "SIGKILL" in attempt.detail


def test_a_group_is_its_own_or_refused() -> None:
    assert judged("kill", [0, signal.SIGTERM]) == (True, None)
    assert judged("kill", [-OWN % 2**64, signal.SIGTERM]) == (True, None)
    allowed, attempt = judged("kill", [-FOREIGN % 2**64, signal.SIGTERM])
    assert (allowed, attempt) == (False, Attempt("signal", f"kill group {FOREIGN} with SIGTERM", True))
    allowed, attempt = judged("kill", [-1 % 2**64, signal.SIGTERM])
    assert (allowed, attempt) == (False, Attempt("signal", "kill every process with SIGTERM", True))
    # The lowest number there is has no positive twin.
    assert not judged("kill", [1 << 31, signal.SIGTERM])[0]


@given(st.sampled_from(["kill", "tkill", "tgkill"]), st.lists(words, min_size=6, max_size=6))
def test_a_signal_is_let_through_only_to_its_own(call: str, arguments: list[int]) -> None:
    low = arguments[0] % 2**32
    if judged(call, arguments)[0]:
        assert low in (0, OWN) or (call == "kill" and low == 2**32 - OWN)


@pytest.mark.parametrize(
    ("path", "flags", "expected"),
    [
        (f"{WORK}/tmp/x", os.O_WRONLY, None),
        (f"{WORK}/../other/x", os.O_WRONLY, "write /scratch/other/x"),
        (f"{WORK}-other/x", os.O_WRONLY, f"write {WORK}-other/x"),
        ("/etc/passwd", os.O_RDONLY, None),
        ("/etc/passwd", os.O_RDWR, "write /etc/passwd"),
        ("/etc/shadow", os.O_RDONLY, "read /etc/shadow"),
        ("/root/.ssh/id_rsa", os.O_RDONLY, "read /root/.ssh/id_rsa"),
        (f"{GIVEN}/unet.safetensors", os.O_RDONLY, None),
        (f"{GIVEN}/unet.safetensors", os.O_RDWR, f"write {GIVEN}/unet.safetensors"),
        (f"{GIVEN}/new", os.O_CREAT, f"write {GIVEN}/new"),
        ("/dev/null", os.O_WRONLY, None),
        ("/dev/shm/sem", os.O_RDWR, None),
        ("/dev/mem", os.O_RDONLY, "read /dev/mem"),
        ("/proc/self/status", os.O_RDONLY, None),
        (f"/proc/{OWN}/stat", os.O_RDONLY, None),
        (f"/proc/{FOREIGN}/environ", os.O_RDONLY, f"read /proc/{FOREIGN}/environ"),
        ("/proc/²/stat", os.O_RDONLY, "read /proc/²/stat"),
        ("//proc//1/environ", os.O_RDONLY, "read /proc/1/environ"),
        ("/proc/cpuinfo", os.O_RDONLY, None),
    ],
)
def test_opening_is_told_where_it_is_the_plugins_business_no_more(
    path: str, flags: int, expected: str | None
) -> None:
    attempt = opened(path, flags)
    assert (attempt and f"{attempt.kind} {attempt.detail}") == expected
    assert attempt is None or not attempt.refused


@pytest.mark.parametrize("call", sorted(set(PATHS) - {"execve", "execveat", "open", "openat"}))
def test_every_other_call_with_a_path_changes_what_is_there(call: str) -> None:
    arguments = [AT_FDCWD] * 6
    arguments[PATHS[call][1]] = AT
    assert judged(call, arguments, {AT: b"/home/user/x\0"}) == (True, Attempt("write", "/home/user/x", False))
    assert judged(call, arguments, {AT: f"{WORK}/x".encode()}) == (True, None)


@pytest.mark.parametrize("call", ["execve", "execveat"])
def test_a_program_is_told(call: str) -> None:
    arguments = [AT, 0] if call == "execve" else [AT_FDCWD, AT]
    assert judged(call, arguments, {AT: b"/usr/bin/id\0"}) == (True, Attempt("process", "/usr/bin/id", False))


def test_an_address_is_told_wherever_the_call_keeps_it() -> None:
    places = {ADDRESS_AT: inet("127.0.0.1", 9), HEAD_AT: struct.pack("=QI", ADDRESS_AT, 16) + bytes(44)}
    for call, arguments in (
        ("connect", [3, ADDRESS_AT, 16]),
        ("bind", [3, ADDRESS_AT, 16]),
        ("sendto", [3, 0, 0, 0, ADDRESS_AT, 16]),
        ("sendmsg", [3, HEAD_AT, 0]),
        ("sendmmsg", [3, HEAD_AT, 1, 0]),
    ):
        assert judged(call, arguments, places) == (True, Attempt("network", f"{call} 127.0.0.1:9", False))
    assert judged("sendmsg", [3, 0, 0]) == (True, None)
    assert judged("bind", [3, AT, 110], {AT: b"\1\0" + f"{WORK}/tmp/s".encode()}) == (True, None)


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("socket", [2, 1], ("network", "socket AF_INET SOCK_STREAM")),
        ("socket", [10, 2 | 0o2000000], ("network", "socket AF_INET6 SOCK_DGRAM")),
        ("socket", [1, 1], ("local", "socket AF_UNIX SOCK_STREAM")),
        ("socket", [17, 3], ("kernel", "socket AF_PACKET SOCK_RAW")),
        ("socket", [999, 15], ("kernel", "socket family 999 kind 15")),
        ("ptrace", [16, 42], ("kernel", "ptrace of process 42")),
        ("process_vm_readv", [42], ("kernel", "process_vm_readv of process 42")),
        ("clone", [0x10000000 | 17], ("kernel", f"clone with new namespaces ({0x10000000:#x})")),
        ("rt_sigqueueinfo", [42, 9], ("signal", "rt_sigqueueinfo to 42")),
        ("mount", [], ("kernel", "mount")),
        ("call 999", [], ("kernel", "call 999")),
    ],
)
def test_what_is_refused_is_told_by_its_registers(
    call: str, arguments: list[int], expected: tuple[str, str]
) -> None:
    assert judged(call, arguments) == (False, Attempt(*expected, refused=True))
    assert CLONE_NEW & 0x10000000


@given(
    st.sampled_from(
        [*PATHS, "kill", "tgkill", "connect", "sendto", "sendmsg", "socket", "ptrace", "clone", "call 1000"]
    ),
    st.lists(words | st.just(AT), min_size=6, max_size=6),
    st.binary(max_size=200),
)
def test_nothing_that_a_caller_passes_trips_it_and_all_that_is_told_is_an_event(
    call: str, arguments: list[int], raw: bytes
) -> None:
    allowed, attempt = judged(call, arguments, {AT: raw})
    if attempt is None:
        assert allowed or call not in PATHS
        return
    assert allowed is not attempt.refused
    kind: Any = attempt.kind
    event = Event(kind=kind, detail=attempt.detail[:400], by="kernel", refused=attempt.refused)
    assert event.detail and event.model_validate_json(event.model_dump_json()) == event


@on_linux
def test_a_path_starts_at_the_folder_that_the_call_names(tmp_path: Path) -> None:
    memory = FakeMemory({AT: b"below/../x\0", ADDRESS_AT: b"\0"})
    folder = os.open(tmp_path, os.O_PATH)
    try:
        assert memory.path(os.getpid(), folder, AT) == f"{tmp_path.resolve()}/x"
        assert memory.path(os.getpid(), folder, ADDRESS_AT) == str(tmp_path.resolve())
        assert memory.path(os.getpid(), -100, AT) == f"{Path.cwd()}/x"
    finally:
        os.close(folder)
    assert memory.path(os.getpid(), folder, AT) == "?/x"


@on_linux
def test_a_folder_whose_name_is_no_text_can_be_told(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff"
    Path(os.fsdecode(name)).mkdir()
    folder = os.open(name, os.O_PATH)
    try:
        expected = FakeMemory({AT: b"x\0"}).path(os.getpid(), folder, AT)
    finally:
        os.close(folder)
    assert expected.endswith("/\\xff/x")


@on_linux
def test_a_file_is_opened_where_the_caller_means_it_and_no_pipe_is(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"weights")
    os.mkfifo(tmp_path / "pipe")
    folder = os.open(tmp_path, os.O_PATH)
    read = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        for name, start in (
            (b"x", folder),
            (os.fsencode(tmp_path / "x"), -100),
            (b"/proc/self/fd/%d" % read, 0),
        ):
            with FakeMemory({AT: name + b"\0"}).file(os.getpid(), start, AT) as stream:
                assert stream.read() == b"weights"
        for name in (b"pipe", b"gone", b"."):
            with pytest.raises(OSError, match=r"regular|No such"):
                FakeMemory({AT: name + b"\0"}).file(os.getpid(), folder, AT)
    finally:
        os.close(folder)
        os.close(read)


@on_linux
def test_weights_are_told_where_they_lie_in_given_folders_or_its_own(tmp_path: Path) -> None:
    for name in ("own", "given", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"weights")
    bounds = Bounds(lambda _: False, (str(tmp_path / "own"),), (str(tmp_path / "given"),), lambda _: "LoRA -")

    def attempt_to_open(name: str, flags: int = os.O_RDONLY) -> Attempt | None:
        memory = FakeMemory({AT: os.fsencode(tmp_path / name) + b"\0"})
        return judge(Syscall(1, os.getpid(), "openat", (AT_FDCWD, AT, flags, 0, 0, 0)), bounds, memory)[1]

    for name in ("own/x", "given/x"):
        assert attempt_to_open(name) == Attempt("weights", f"LoRA - {tmp_path / name}", False)
    assert attempt_to_open("own/x", os.O_RDWR) == Attempt("weights", f"LoRA - {tmp_path / 'own/x'}", False)
    assert attempt_to_open("own/gone") is None
    # What it may not open is reported as a read.
    assert attempt_to_open("other/x") == Attempt("read", str(tmp_path / "other/x"), False)


@on_linux
def test_memory_that_is_not_there_is_empty() -> None:
    memory = Memory()
    for address in (0, 8, 2**63, 2**64 - 1):
        assert memory.read(os.getpid(), address, 16) == b""
    assert memory.read(0, 0, 16) == b""
    assert memory.path(os.getpid(), -1, 0) == str(Path.cwd())


@pytest.mark.parametrize(
    ("path", "below"),
    [("/a", True), ("/a/b", True), ("/ab", False), ("/", False), ("", False), ("/c/x", True)],
)
def test_below_means_itself_or_deeper(path: str, below: bool) -> None:
    assert is_below(path, ("/a", "/c/")) is below
    assert is_below(path, ()) is False
