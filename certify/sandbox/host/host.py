"""Starts and ends worker processes with the means of the operating system."""

from __future__ import annotations

import itertools
import os
import secrets
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from certify.record.results import Act
from certify.sandbox.host import guest_copy as library
from certify.sandbox.host.faults import HostError
from certify.sandbox.host.grants import jail_of
from certify.sandbox.host.systems import Starter, here
from certify.sandbox.host.systems.base import Process, WorkerSpec
from certify.sandbox.jail.plan import Jail, weaker

if TYPE_CHECKING:
    from certify.sandbox.jail.notify import Attempt

# Limits of a worker's process tree: processes, and bytes of memory and on disk.
LIMITS = {"processes": 64, "memory": 12 << 30, "disk": 4 << 30}
RLIMITS = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 1024, "RLIMIT_FSIZE": 4 << 30}
# Tasks of the worker's user, threads included; set only where no other process has that user.
MAX_THREADS = 512


class Host:
    """Starts fresh workers by `system`, by default the one of this operating system.

    Raises HostError where workers cannot be started. Without `walls` workers are plain processes, to show
    what a jail stops.
    """

    def __init__(
        self,
        scratch: Path,
        warm: bool = True,
        limits: dict[str, int] | None = None,
        walls: bool = True,
        system: Starter | None = None,
    ) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.scratch = scratch = scratch.resolve()
        self.limits = {**LIMITS, **(limits or {})}
        # The walls of the last worker, and why there are not more.
        self.walls = ""
        self.lacks: list[str] = []
        # What a worker may write besides its folder: with namespaces it has private shared memory.
        self.own_memory: tuple[str, ...] = ()
        # The results of the isolation self-test; empty until it has run.
        self.acts: tuple[Act, ...] = ()
        # The folders of the tiny models built for this host, by model type; no candidate can write to them.
        self.models: dict[str, str] = {}
        self._cache = scratch / "cache"
        # Workers may be used from several threads; what is said to the system is said by one at a time.
        self._lock = threading.RLock()
        self.lost = ""
        self._walled = walls
        self._step = 0
        self._numbers = itertools.count(1)
        library.copy_library(scratch)
        self._system = (system or here())(scratch, worker_environment(scratch), warm)
        # It is in our environment until `close`; the self-test checks whether a worker can see it.
        self.decoy = "DECOY_" + secrets.token_hex(8)
        os.environ[self.decoy] = "decoy"

    @property
    def exits(self) -> dict[int, int]:
        """Exit codes by worker pid; negative where a signal ended the worker."""
        return self._system.events.exits

    @property
    def passed_limits(self) -> dict[int, str]:
        """By worker pid: the limit that was exceeded, and who ended the worker."""
        return self._system.events.passed_limits

    @property
    def attempts(self) -> dict[int, list[Attempt]]:
        """What the seccomp filters of workers reported, by worker pid, until it is taken."""
        return self._system.events.attempts

    @property
    def limits_kept_by(self) -> str:
        return self._system.limits_kept_by()

    def start_worker(
        self,
        folder: Path,
        readable: Iterable[str] = (),
        limits: dict[str, int] | None = None,
        trusted: bool = False,
    ) -> Process:
        """A fresh worker whose work, temporary and home folders are below `folder`.

        It is confined by the strongest walls that this system supports, and may read `readable` besides what
        every worker needs. A `trusted` worker never loads a candidate and has no walls.
        """
        with self._lock:
            return self._start_worker(folder, readable, limits, trusted)

    def _start_worker(
        self, folder: Path, readable: Iterable[str], limits: dict[str, int] | None, trusted: bool
    ) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        strongest = jail_of(
            folder.resolve(), [*readable, library.library_folder(self.scratch), str(self._cache)]
        )
        ladder = [strongest, *weaker(strongest)]
        if trusted or not self._walled:
            # All workers share the tiny models that it builds.
            cache = {"SD_CERTIFY_CACHE": str(self._cache)} if trusted else {}
            return self._try(ladder[-1], limits, cache)[0]
        while True:
            jail = ladder[min(self._step, len(ladder) - 1)]
            process, failed = self._try(jail, limits)
            if not failed:
                self.walls = jail.walls
                self.own_memory = ("/dev/shm",) if jail.namespaces else ()
                return process
            self.kill(process.pid)
            process.pipes.close()
            if self.acts:
                # The level was measured with these walls; with weaker ones it would be wrong.
                with self._remembering_loss():
                    raise HostError(
                        f"the walls that were measured ({jail.walls}) could not be built again: {failed}"
                    )
            self.lacks.append(f"{jail.walls}: {failed}")
            if self._step >= len(ladder) - 1:
                with self._remembering_loss():
                    raise HostError(f"no worker could be started: {failed}")
            self._step += 1

    def _try(
        self, jail: Jail, limits: dict[str, int] | None, environment: Mapping[str, str] | None = None
    ) -> tuple[Process, str]:
        """A worker in this jail, and why its walls could not be built: empty where they could."""
        spec = WorkerSpec(
            number=next(self._numbers),
            jail=jail,
            environment={**worker_environment(Path(jail.folder)), **(environment or {})},
            limits={**self.limits, **(limits or {})},
            rlimits={**RLIMITS, **({"RLIMIT_NPROC": MAX_THREADS} if _counts_alone(jail) else {})},
        )
        with self._remembering_loss():
            return self._system.start(spec)

    def note_events(self, *, wait: bool = True) -> None:
        """Takes the events that have arrived, without waiting for more. Where another thread uses the host,
        this waits for it, or with `wait` False leaves them to that thread.
        """
        if not self._lock.acquire(blocking=wait):
            return
        try:
            with self._remembering_loss():
                self._system.note()
        finally:
            self._lock.release()

    def kill(self, pid: int) -> None:
        """Ends a worker and its process tree; returns when all processes are gone."""
        if not self.lost:
            with self._lock, self._remembering_loss():
                self._system.kill(pid)

    @contextmanager
    def _remembering_loss(self) -> Iterator[None]:
        """Remembers a HostError; every later use of this host raises it again."""
        if self.lost:
            raise HostError(self.lost)
        try:
            yield
        except HostError as error:
            self.lost = f"{error}; the last line of their log: {self._system.log_tail()}"
            raise HostError(self.lost) from None

    def close(self) -> None:
        """Ends all workers and helper processes."""
        os.environ.pop(self.decoy, None)
        self._system.close()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def worker_environment(folder: Path) -> dict[str, str]:
    """The whole environment of a worker: nothing from the host's, and nothing that suggests a test."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        # A neutral account name for code that needs one.
        "USER": "user",
        "LOGNAME": "user",
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "home" / "huggingface"),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Without telemetry of the installed libraries: its requests would be blamed on the plugin.
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        **(_of_windows(folder) if sys.platform == "win32" else {}),
    }


def _of_windows(folder: Path) -> dict[str, str]:
    """Windows needs SYSTEMROOT for sockets and libraries; the others are its names for the same folders."""
    root = os.environ.get("SYSTEMROOT", r"C:\Windows")
    return {
        "SYSTEMROOT": root,
        "PATH": rf"{root}\System32;{root}",
        "TEMP": str(folder / "tmp"),
        "TMP": str(folder / "tmp"),
        "USERPROFILE": str(folder / "home"),
    }


def _counts_alone(jail: Jail) -> bool:
    """Whether a limit on the user's processes would count the processes of this worker only."""
    return jail.user is not None or (jail.namespaces and os.geteuid() != 0)
