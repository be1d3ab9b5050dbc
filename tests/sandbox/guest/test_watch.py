"""The watch in a process of its own, since an audit hook stays for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

import certify
from certify.sandbox.guest.watch import MAX_LINE, MAX_PER_KIND

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")

PREAMBLE = """
import os, shutil, socket, sqlite3, subprocess, sys
from pathlib import Path
from certify.sandbox.guest.watch import Watch
descriptor, work, other = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.chdir(work)
Watch([work], descriptor)
"""


class Place(NamedTuple):
    """`work` is allowed; `other` begins with its name and is not."""

    work: Path
    other: Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "worker-1", tmp_path / "worker-10")
    for folder in made:
        folder.mkdir()
    (made.other / "old").write_text("old", "utf-8")
    (made.other / "folder").mkdir()
    return made


def lines_from(place: Place, code: str) -> list[bytes]:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    arguments = [sys.executable, "-B", "-c", PREAMBLE + textwrap.dedent(code), str(writable)]
    with os.fdopen(readable, "rb") as stream:
        try:
            ended = subprocess.run(
                [*arguments, *map(str, place)],
                pass_fds=[writable],
                timeout=60,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PYTHONPATH": str(Path(certify.__file__).parents[1])},
            )
        finally:
            os.close(writable)
        assert ended.returncode == 0, ended.stderr
        return stream.read().splitlines()


def seen(place: Place, code: str) -> list[tuple[str, str]]:
    """(kind, detail) of each event; the folders shown as WORK and OTHER."""
    events = [json.loads(line) for line in lines_from(place, code)]
    assert all(set(event) == {"kind", "detail"} for event in events)
    return [(event["kind"], _shown(event["detail"], place)) for event in events]


def _shown(text: str, place: Place) -> str:
    return text.replace(str(place.other), "OTHER").replace(str(place.work), "WORK")


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("open(other + '/new', 'w')", "OTHER/new"),
        ("open(other + '/old', 'r+')", "OTHER/old"),
        ("os.open(other + '/new', os.O_CREAT)", "OTHER/new"),
        ("open(Path(other, 'new'), 'xb')", "OTHER/new"),
        ("open(os.fsencode(other) + b'/new', 'ab')", "OTHER/new"),
        ("open('../worker-10/new', 'w')", "OTHER/new"),
        ("os.remove(other + '/old')", "OTHER/old"),
        ("os.mkdir(other + '/new/')", "OTHER/new"),
        ("os.rmdir(other + '/folder')", "OTHER/folder"),
        ("os.truncate(other + '/old', 0)", "OTHER/old"),
        ("os.chmod(other + '/old', 0o600)", "OTHER/old"),
        ("os.chmod(os.open(other + '/old', os.O_RDONLY), 0o600)", "OTHER/old"),
        ("os.chown(other + '/old', -1, -1)", "OTHER/old"),
        ("os.utime(other + '/old')", "OTHER/old"),
        ("os.link(other + '/old', 'ours')\nos.link('ours', other + '/new')", "OTHER/new"),
        ("os.symlink('old', other + '/new')", "OTHER/new"),
        ("sqlite3.connect(other + '/new.db')", "OTHER/new.db"),
        ("sqlite3.connect(Path(other, 'new.db'))", "OTHER/new.db"),
        ("sqlite3.connect(f'file:{other}/new%20one.db?mode=rwc', uri=True)", "OTHER/new one.db"),
        ("open('/dev/shm/certify-watch', 'w')", "/dev/shm/certify-watch"),
    ],
)
def test_a_write_elsewhere_is_told(code: str, path: str, place: Place) -> None:
    try:
        assert seen(place, code) == [("write", path)]
    finally:
        Path("/dev/shm/certify-watch").unlink(missing_ok=True)


def test_weights_are_told_by_their_names_and_by_the_engines_loader(place: Place) -> None:
    code = """
    for name in ('a.safetensors', 'b.PT', 'c.txt'):
        open(name, 'wb').close()
        open(name, 'rb').close()
    sys.audit('reference_engine.lora', 'c.txt')
    """
    assert seen(place, code) == [
        ("weights", "named - WORK/a.safetensors"),
        ("weights", "named - WORK/b.PT"),
        ("weights", "LoRA - WORK/c.txt"),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "open('new', 'w').write('x')\nos.rename('new', 'newer')\nos.remove('newer')",
        "open(other + '/old').read()\nos.listdir(other)\nos.stat(other)",
        "os.makedirs('a/b/c')\nos.symlink('../../../../worker-10/old', 'a/b/c/link')",
        "os.mkdir('a')\nshutil.rmtree('a')",
        "os.makedirs(other, exist_ok=True)",
        "for name in ('null', 'zero', 'full', 'urandom'):\n    open(f'/dev/{name}', 'r+b', buffering=0)",
        "open('/proc/self/comm', 'w').write('ink')\nopen(f'/proc/{os.getpid()}/comm', 'w').write('ink')",
        "open('/dev/stdout', 'w').write('x')\nos.fchmod(1, 0o600)",
        "sqlite3.connect(':memory:')\nsqlite3.connect('')\nsqlite3.connect('new.db')",
        "sqlite3.connect('file::memory:?cache=shared', uri=True)",
        "sqlite3.connect(f'file:{other}/old?mode=ro', uri=True)",
        "os.ftruncate(os.memfd_create('x'), 10)",
        "from multiprocessing.shared_memory import SharedMemory\n"
        "block = SharedMemory(create=True, size=9)\nblock.close()\nblock.unlink()",
    ],
)
def test_what_may_be_written_or_only_read_is_not_told(code: str, place: Place) -> None:
    assert [act for act in seen(place, code) if act[0] == "write"] == []


def test_a_move_is_told_where_it_comes_from_and_where_it_goes(place: Place) -> None:
    code = "os.rename(other + '/old', 'ours')\nos.replace('ours', other + '/new')"
    assert seen(place, code) == [("write", "OTHER/old"), ("write", "OTHER/new")]


def test_a_path_is_taken_from_the_open_folder_it_is_relative_to(place: Place) -> None:
    code = """
    at = os.open(other, os.O_RDONLY)
    os.mkdir('a', dir_fd=at)
    os.rename('a', 'b', src_dir_fd=at, dst_dir_fd=at)
    os.rmdir('b', dir_fd=at)
    os.symlink('old', 'c', dir_fd=at)
    os.link('old', 'd', src_dir_fd=at, dst_dir_fd=at)
    os.utime('old', dir_fd=at)
    """
    assert [path for _, path in seen(place, code)] == [
        f"OTHER/{name}" for name in ("a", "b", "c", "d", "old")
    ]


def test_a_link_does_not_lead_out_unseen(place: Place) -> None:
    code = """
    os.symlink(other, 'way')
    open('way/new', 'w')
    os.symlink(other + '/old', 'file')
    open('file', 'w')
    """
    assert seen(place, code) == [("write", "OTHER/new"), ("write", "OTHER/old")]


def test_a_link_itself_is_removed_where_it_lies(place: Place) -> None:
    assert seen(place, "os.symlink(other + '/old', 'file')\nos.remove('file')") == []


def test_a_path_cannot_lie_about_itself(place: Place) -> None:
    code = """
    class Innocent(str):
        def startswith(self, *_):
            return True
        def __str__(self):
            return '/dev/null'
        __fspath__ = __str__
    os.remove(Innocent(other + '/old'))
    """
    assert seen(place, code) == [("write", "OTHER/old")]


def test_the_network_is_told_with_host_and_port(place: Place) -> None:
    code = """
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.bind(('127.0.0.1', 0))
    datagrams.sendto(b'x', ('127.0.0.1', 9))
    datagrams.sendmsg([b'x'], [], 0, ('127.0.0.1', 9))
    datagrams.connect(('127.0.0.1', 9))
    datagrams.sendmsg([b'x'])
    """
    verbs = [("bind", 0), ("sendto", 9), ("sendmsg", 9), ("connect", 9)]
    assert seen(place, code) == [("network", f"{verb} 127.0.0.1:{port}") for verb, port in verbs]


def test_a_lookup_is_told_with_what_it_resolved_to(place: Place) -> None:
    code = "socket.getaddrinfo(b'localhost', 80, socket.AF_INET)\nsocket.gethostbyname('localhost')"
    assert seen(place, code) == [
        ("network", "getaddrinfo localhost:80"),
        ("resolved", "localhost 127.0.0.1"),
        ("network", "gethostbyname localhost:0"),
    ]


def test_local_sockets_are_not_the_network(place: Place) -> None:
    code = """
    one, two = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    one.bind('sock')
    two.bind(b'\\0ink-' + str(os.getpid()).encode())
    """
    events = seen(place, code)
    assert [kind for kind, _ in events] == ["local", "local"]
    assert events[0][1] == "bind sock" and events[1][1].startswith("bind @ink-")


def test_programs_are_told_without_their_arguments(place: Place) -> None:
    code = """
    subprocess.run(['true', 'secret'])
    os.system('/bin/true secret')
    os.waitpid(os.posix_spawn('/bin/echo', ['secret'], {}), 0)
    if os.fork() == 0:
        os.execv('/bin/false', ['secret'])
    os.wait()
    """
    programs = ["true", "/bin/true", "/bin/echo", "/bin/false"]
    assert seen(place, code) == [("process", program) for program in programs]


def test_a_fork_reports_as_well(place: Place) -> None:
    code = "if os.fork() == 0:\n    open(other + '/new', 'w')\n    os._exit(0)\nos.wait()"
    assert seen(place, code) == [("write", "OTHER/new")]


def test_the_same_is_told_once(place: Place) -> None:
    assert seen(place, "for _ in range(9):\n    open(other + '/new', 'w')") == [("write", "OTHER/new")]


def test_of_a_kind_there_is_an_end_and_other_kinds_go_on(place: Place) -> None:
    code = (
        "for n in range(400):\n    open(f'{other}/{n}', 'w').close()\nsocket.socket().bind(('127.0.0.1', 0))"
    )
    events = seen(place, code)
    assert events[MAX_PER_KIND - 1] == ("write", f"OTHER/{MAX_PER_KIND - 1}")
    assert events[MAX_PER_KIND:] == [("overflow", "write"), ("network", "bind 127.0.0.1:0")]


def test_a_line_is_short_and_whole_whatever_the_path(place: Place) -> None:
    code = r"""
    for name in ('a\n"', '\x01' * 200, '画' * 80, b'\xff' * 200):
        try:
            open(os.path.join(os.fsencode(other), os.fsencode(name)), 'w')
        except OSError:
            pass
    """
    lines = lines_from(place, code)
    assert len(lines) == 4
    assert all(len(line) < MAX_LINE and json.loads(line)["kind"] == "write" for line in lines)


def test_odd_arguments_raise_what_they_always_raise(place: Place) -> None:
    code = r"""
    for call in (
        lambda: open('a\0b', 'w'),
        lambda: open('\ud800', 'w'),
        lambda: os.mkdir('x', dir_fd=999),
        lambda: os.rename('', ''),
        lambda: sqlite3.connect(None),
        lambda: socket.socket().connect(('127.0.0.1',)),
        lambda: socket.getaddrinfo(),
        lambda: sys.audit('open'),
        lambda: sys.audit('socket.connect', None, ()),
        lambda: sys.audit('os.rename', 1),
    ):
        try:
            call()
        except (OSError, ValueError, TypeError):
            pass
    """
    assert [kind for kind, _ in seen(place, code) if kind == "write"] == []


def test_a_full_or_closed_pipe_stops_nobody(place: Place) -> None:
    code = """
    try:
        while True:
            os.write(descriptor, b' ' * 4096)
    except BlockingIOError:
        pass
    open(other + '/new', 'w')
    os.close(descriptor)
    open(other + '/newer', 'w')
    """
    assert [line for line in lines_from(place, code) if line.strip()] == []


def test_a_file_that_gets_the_pipes_number_stays_as_it_is(place: Place) -> None:
    code = """
    with open('mine', 'wb') as mine:
        os.dup2(mine.fileno(), descriptor)
        open(other + '/new', 'w')
    assert Path('mine').read_bytes() == b''
    """
    assert seen(place, code) == []


def test_an_open_for_reading_costs_microseconds(place: Place) -> None:
    code = """
    import time
    def cost():
        started = time.perf_counter()
        for _ in range(2000):
            sys.audit('open', '/etc/hosts', 'r', os.O_RDONLY | os.O_CLOEXEC)
        return (time.perf_counter() - started) / 2000
    best = min(cost() for _ in range(5))
    assert best < 20e-6, best
    """
    assert seen(place, code) == []
