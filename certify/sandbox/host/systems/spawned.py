"""A new process for each worker, and a host thread that watches its process tree: the common part of macOS
and Windows. Without walls it works on every system."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from certify.sandbox.host import guest_copy as library
from certify.sandbox.host.faults import HostError
from certify.sandbox.host.pipes import OUTPUTS, Pipes, SelectedPipes, ThreadedPipes
from certify.sandbox.host.systems.base import TICK, Process, WorkerEvents, WorkerSpec
from certify.sandbox.host.watchdog import MAX_FILES, disk_use
from certify.sandbox.protocol import FrameParser, ProtocolError

_WORKER = "sys.argv[1:4], sys.argv[4], sys.argv[5]"
# Seconds. The first start is slow on a system that scans new files.
_START_DEADLINE = 60.0
_GRACE = 0.5


@dataclass
class Ward:
    """One worker and all observed processes of its tree."""

    popen: subprocess.Popen[bytes]
    pipes: Pipes
    spec: WorkerSpec
    seen: dict[int, psutil.Process] = field(default_factory=dict)
    looked: float = 0.0

    def members(self) -> list[psutil.Process]:
        """The living processes of its tree, and of the trees of processes that have left it since."""
        with contextlib.suppress(psutil.Error):
            self.seen.setdefault(self.popen.pid, psutil.Process(self.popen.pid))
        for process in list(self.seen.values()):
            with contextlib.suppress(psutil.Error):
                for child in process.children(recursive=True):
                    self.seen.setdefault(child.pid, child)
        self.seen = {pid: process for pid, process in self.seen.items() if is_running(process)}
        return list(self.seen.values())

    def passed(self) -> str:
        """The limit that its tree exceeds, as text; empty where it exceeds none."""
        limits, members = self.spec.limits, self.members()
        if len(members) > limits["processes"]:
            return f"{len(members)} processes, limit {limits['processes']}"
        held = sum(_memory(process) for process in members)
        if held > limits["memory"]:
            return f"{held >> 20} MiB of memory, limit {limits['memory'] >> 20} MiB"
        return self._disk_passed()

    def _disk_passed(self) -> str:
        if time.monotonic() < self.looked:
            return ""
        size, files, hidden = disk_use(self.spec.jail.folder)
        # A check costs more for more files.
        self.looked = time.monotonic() + 1.0 + files / 20_000
        if hidden:
            return f"a folder that cannot be listed ({hidden})"
        if files > MAX_FILES:
            return f"{files} files, limit {MAX_FILES}"
        limit = self.spec.limits["disk"]
        return f"{size >> 20} MiB on disk, limit {limit >> 20} MiB" if size > limit else ""


class Spawned:
    """`warm` has no effect here: every worker imports the libraries itself."""

    def __init__(self, scratch: Path, environment: dict[str, str], warm: bool = False) -> None:
        self.events = WorkerEvents()
        self._scratch = scratch
        self._wards: dict[int, Ward] = {}
        self._last_log = "none"
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_on, daemon=True)
        self._watch.start()

    def start(self, spec: WorkerSpec) -> tuple[Process, str]:
        ours, theirs = _pipes()
        try:
            popen = self._spawn(spec, theirs)
        except OSError as error:
            for descriptor in ours:
                os.close(descriptor)
            raise HostError(f"a worker could not be started: {error}") from None
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        pipes = self._make_pipes(ours[0], dict(zip(OUTPUTS, ours[1:], strict=True)))
        ward = Ward(popen, pipes, spec)
        failed = self._shut_in(ward)
        with self._lock:
            self.events.forget(popen.pid)
            self._wards[popen.pid] = ward
        return Process(popen.pid, pipes), failed or self._wait_until_up(ward)

    def _spawn(self, spec: WorkerSpec, theirs: Sequence[int]) -> subprocess.Popen[bytes]:
        """`theirs`: requests, then OUTPUTS."""
        requests, answers, stdout, stderr, events = theirs
        ends = [self._inherited(number) for number in (requests, answers, events)]
        command = [*library.command(self._scratch, "guest.spawned", _WORKER), *map(str, ends)]
        command += [str(Path(spec.jail.folder, "work")), json.dumps(spec.rlimits)]
        return subprocess.Popen(
            [*self._before(spec), *command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=spec.environment,
            **self._how(ends),
        )

    # Methods that a system may override.

    def _before(self, spec: WorkerSpec) -> list[str]:
        """The prefix of the command."""
        return []

    def _how(self, ends: list[int]) -> dict[str, Any]:
        """More arguments for Popen, so that only `ends` are inherited."""
        return {"pass_fds": ends, "start_new_session": True}

    def _inherited(self, descriptor: int) -> int:
        """The number of an inherited file descriptor in the worker."""
        return descriptor

    def _make_pipes(self, requests: int, outputs: dict[str, int]) -> Pipes:
        return SelectedPipes(requests, outputs)

    def _shut_in(self, ward: Ward) -> str:
        """Builds walls around a running process; returns why they could not be built, or an empty text."""
        return ""

    def _end_tree(self, ward: Ward) -> None:
        members = ward.members() + marked(ward.spec.environment["TMPDIR"])
        for process in members:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        psutil.wait_procs(members, _GRACE)
        for _ in range(5):
            living = [process for process in ward.members() + members if is_running(process)]
            if not living:
                return
            for process in living:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(living, 0.1)

    def limits_kept_by(self) -> str:
        return "a watchdog thread in the host only"

    # Methods that are the same on every system.

    def _wait_until_up(self, ward: Ward) -> str:
        """Empty once the worker has reported its start; else why it did not."""
        parser, deadline = FrameParser(max_payload=0), time.monotonic() + _START_DEADLINE
        stderr = b""
        while time.monotonic() < deadline:
            for name, data in ward.pipes.wait(0.2):
                if name == "stderr":
                    stderr = (stderr + data)[-2000:]
                elif name == "answers":
                    with contextlib.suppress(ProtocolError):
                        if [frame.header for frame in parser.feed(data)] == [{"up": True}]:
                            return ""
                    return "it wrote before it reported its start"
            code = ward.popen.poll()
            if code is not None:
                stderr += ward.pipes.now("stderr")
                self._last_log = " ".join(stderr.decode("utf-8", "replace").split())[-300:] or "none"
                return f"it ended with code {code}: {self._last_log}"
        return "it did not start in time"

    def note(self) -> None:
        with self._lock:
            wards = list(self._wards.items())
        for pid, ward in wards:
            code = ward.popen.poll()
            if code is not None:
                self.events.exits[pid] = code

    def kill(self, pid: int) -> None:
        with self._lock:
            ward = self._wards.pop(pid, None)
        if ward is None:
            return
        self._end_tree(ward)
        try:
            self.events.exits[pid] = ward.popen.wait(10)
        except subprocess.TimeoutExpired:
            raise HostError(f"worker {pid} could not be ended") from None
        if isinstance(ward.pipes, ThreadedPipes):
            ward.pipes.wait_for_the_end(1.0)

    def _watch_on(self) -> None:
        while not self._closing.wait(TICK):
            with self._lock:
                wards = list(self._wards.items())
            for pid, ward in wards:
                passed = ward.passed() if ward.popen.poll() is None else ""
                if passed:
                    self.events.passed_limits.setdefault(pid, f"the watchdog: {passed}")
                    self._stop(ward)

    def _stop(self, ward: Ward) -> None:
        """Kills the tree at once, because a limit was exceeded."""
        for process in ward.members():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def log_tail(self) -> str:
        return self._last_log

    def close(self) -> None:
        self._closing.set()
        for pid in list(self._wards):
            with contextlib.suppress(HostError):
                self.kill(pid)
        self._watch.join(5)


def _pipes() -> tuple[list[int], list[int]]:
    """Our ends (requests, then OUTPUTS), and the worker's ends in the same order."""
    request_read, request_write = os.pipe()
    outputs = [os.pipe() for _ in OUTPUTS]
    theirs = [request_read, *(write for _, write in outputs)]
    if sys.platform != "win32":
        # The audit hook in a worker must not block until the host reads.
        os.set_blocking(theirs[-1], False)
    return [request_write, *(read for read, _ in outputs)], theirs


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _memory(process: psutil.Process) -> int:
    """Resident bytes; shared memory counts once per process."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def marked(temporary: str) -> list[psutil.Process]:
    """The user's processes with this TMPDIR in their environment. The folder belongs to one worker, so they
    descend from it. A process that cleared its environment is not included."""
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("TMPDIR") == temporary:
                processes.append(process)
    return processes
