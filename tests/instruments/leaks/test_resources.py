"""Readings of a real process tree: what a child opens, starts, writes and allocates is seen from outside."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from certify.instruments.leaks import resources
from certify.instruments.leaks.resources import open_sockets, sample_tree, tree

linux = pytest.mark.skipif(not resources.HAS_PROC, reason="reads /proc")
NOBODY = 2**22 + 1  # above the largest process id that Linux gives


@contextmanager
def running(code):
    """A child that runs `code`, says so, and waits to be stopped."""
    lines = f"{code}\nprint('ready', flush=True)\ninput()"
    command = [sys.executable, "-I", "-c", lines]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child.pid
        finally:
            child.kill()


def read(pid, folder):
    return sample_tree(pid, call=7, seconds=1.5, folder=folder)


def test_what_a_process_holds_is_counted(tmp_path):
    held = (
        "import threading, time\n"
        "files = [open(__import__('os').devnull) for _ in range(5)]\n"
        "block = bytearray(b'x') * (32 << 20)\n"
        "threads = [threading.Thread(target=time.sleep, args=(60,), daemon=True) for _ in range(3)]\n"
        "[thread.start() for thread in threads]"
    )
    with running("pass") as idle, running(held) as busy:
        before, after = read(idle, tmp_path), read(busy, tmp_path)
    assert (after.call, after.seconds) == (7, 1.5)
    assert after.fds - before.fds == 5
    assert after.threads - before.threads == 3
    assert 30 << 20 < after.rss_anon - before.rss_anon < 40 << 20


@linux
def test_children_count_with_what_they_hold_and_zombies_count_without(tmp_path):
    family = (
        "import os, time\n"
        "if os.fork() == 0:\n    block = bytearray(b'x') * (16 << 20); time.sleep(60)\n"
        "if os.fork() == 0:\n    os._exit(0)\n"
        "time.sleep(0.5)"
    )
    with running(family) as parent:
        pids = tree(parent)
        sample = read(parent, tmp_path)
        for pid in pids[1:]:
            os.kill(pid, 9)
    assert pids[0] == parent
    assert len(pids) == 3
    assert sample.children == 2
    assert sample.rss_anon > 16 << 20


def test_files_and_folders_below_the_folder_are_counted_and_links_not_followed(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a.bin").write_bytes(bytes(1000))
    (tmp_path / "b.bin").write_bytes(bytes(234))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    sample = read(os.getpid(), tmp_path)
    link = (tmp_path / "loop").lstat().st_size
    assert (sample.files, sample.file_bytes - link) == (5, 1234)


def test_a_process_that_is_gone_holds_nothing(tmp_path):
    sample = read(NOBODY, tmp_path / "missing")
    assert tree(NOBODY) == []
    assert open_sockets([NOBODY]) == ()
    assert (sample.rss_anon, sample.fds, sample.threads, sample.children, sample.files) == (0, 0, 0, 0, 0)


def test_processes_that_vanish_between_the_list_and_the_reading_count_as_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "tree", lambda pid: [NOBODY, NOBODY + 1])
    assert read(NOBODY, tmp_path).rss_anon == 0


def test_without_proc_psutil_reads_the_same(tmp_path, monkeypatch):
    with running("held = [open(__import__('os').devnull) for _ in range(4)]") as pid:
        native = read(pid, tmp_path)
        monkeypatch.setattr(resources, "HAS_PROC", False)
        portable = read(pid, tmp_path)
    assert (portable.fds, portable.threads, portable.children) == (native.fds, native.threads, 0)
    assert portable.rss_anon > 1 << 20


@pytest.mark.parametrize("native", [pytest.param(True, marks=linux), False])
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_remote_end_of_a_connection_is_named(native, family, host, monkeypatch):
    monkeypatch.setattr(resources, "HAS_PROC", native)
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        server.listen()
        port = server.getsockname()[1]
        dial = f"import socket; s = socket.socket({int(family)}); s.connect(({host!r}, {port}))"
        with running(dial) as pid:
            found = open_sockets([pid])
    assert found == (f"tcp [::1]:{port}" if ":" in host else f"tcp 127.0.0.1:{port}",)


def test_listening_and_unix_sockets_are_no_connections(tmp_path):
    code = (
        "import socket\na = socket.socket(); a.bind(('127.0.0.1', 0)); a.listen()\n"
        "pair = socket.socketpair()\nu = socket.socket(type=socket.SOCK_DGRAM)"
    )
    with running(code) as pid:
        assert open_sockets([pid]) == ()


def test_a_sample_is_cheap_and_stops_at_the_file_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "MAX_FILES", 3)
    for name in "abcdef":
        Path(tmp_path, name).write_bytes(b"1")
    assert read(os.getpid(), tmp_path).files == 3
