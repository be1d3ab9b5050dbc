"""Starting and ending worker processes, by way of what the system has for it."""

from __future__ import annotations

import itertools
import os
import secrets
import sys
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

# Of a worker's tree: processes, and bytes of memory and on disk.
LIMITS = {"processes": 64, "memory": 12 << 30, "disk": 4 << 30}
RLIMITS = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 1024, "RLIMIT_FSIZE": 4 << 30}
# Threads count too. It holds where the worker's user is nobody else's.
MAX_THREADS = 512


class Host:
    """Starts workers, each fresh, by `system` (this system's own, unless told otherwise).

    Raises HostError where the system cannot do it, or where it does not start. Without `walls` workers are
    processes of their own, and no more: for showing what a jail stops.
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
        # The walls of the last worker, and why there are no more.
        self.walls = ""
        self.lacks: list[str] = []
        # What a worker may write besides its folder: with namespaces the shared memory is its own.
        self.own_memory: tuple[str, ...] = ()
        # What the isolation self-test showed; empty until it has run.
        self.acts: tuple[Act, ...] = ()
        # The tiny models built for this host, by model type: in its own folder, out of any candidate's reach
        # before it is loaded.
        self.models: dict[str, str] = {}
        self._cache = scratch / "cache"
        self.lost = ""
        self._walled = walls
        self._step = 0
        self._numbers = itertools.count(1)
        library.copy_library(scratch)
        self._system = (system or here())(scratch, worker_environment(scratch), warm)
        # Stands in our environment from here to the end; the self-test looks whether a worker sees it.
        self.decoy = "DECOY_" + secrets.token_hex(8)
        os.environ[self.decoy] = "decoy"

    @property
    def exits(self) -> dict[int, int]:
        """By the pid of a worker its exit code; negative where a signal ended it."""
        return self._system.events.exits

    @property
    def passed_limits(self) -> dict[int, str]:
        """By the pid of a worker who ended it for which limit."""
        return self._system.events.passed_limits

    @property
    def attempts(self) -> dict[int, list[Attempt]]:
        """What the filters of living workers told, by their pid, until it is taken."""
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

        It is shut in with the strongest walls that can be built here, and given `readable` besides what every
        worker needs. A `trusted` one, which will not meet a candidate, has none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        strongest = jail_of(
            folder.resolve(), [*readable, library.library_folder(self.scratch), str(self._cache)]
        )
        ladder = [strongest, *weaker(strongest)]
        if trusted or not self._walled:
            # The tiny models that it builds are for all.
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
                # The level was measured behind these walls; behind weaker ones it would be a lie.
                with self._remembering_loss():
                    raise HostError(
                        f"the walls that were measured ({jail.walls}) do not stand again: {failed}"
                    )
            self.lacks.append(f"{jail.walls}: {failed}")
            if self._step >= len(ladder) - 1:
                with self._remembering_loss():
                    raise HostError(f"no worker could be started: {failed}")
            self._step += 1

    def _try(
        self, jail: Jail, limits: dict[str, int] | None, environment: Mapping[str, str] | None = None
    ) -> tuple[Process, str]:
        """A worker behind these walls, and what kept them from standing: empty where they do."""
        order = WorkerSpec(
            number=next(self._numbers),
            jail=jail,
            environment={**worker_environment(Path(jail.folder)), **(environment or {})},
            limits={**self.limits, **(limits or {})},
            rlimits={**RLIMITS, **({"RLIMIT_NPROC": MAX_THREADS} if _counts_alone(jail) else {})},
        )
        with self._remembering_loss():
            return self._system.start(order)

    def note_events(self) -> None:
        """Takes what the system has told meanwhile, without waiting."""
        with self._remembering_loss():
            self._system.note()

    def kill(self, pid: int) -> None:
        """Ends a worker and everything that came from it; returns when all of it is gone."""
        if not self.lost:
            with self._remembering_loss():
                self._system.kill(pid)

    @contextmanager
    def _remembering_loss(self) -> Iterator[None]:
        """The end of this host is said again to whoever asks from now on."""
        if self.lost:
            raise HostError(self.lost)
        try:
            yield
        except HostError as error:
            self.lost = f"{error}; the last line of their log: {self._system.log_tail()}"
            raise HostError(self.lost) from None

    def close(self) -> None:
        """Ends everything."""
        os.environ.pop(self.decoy, None)
        self._system.close()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def worker_environment(folder: Path) -> dict[str, str]:
    """All that a worker sees of the environment: nothing of the judge's, and nothing that says "test"."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        # Nobody's account: what asks for a name finds one here.
        "USER": "user",
        "LOGNAME": "user",
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "home" / "huggingface"),
        "PYTHONDONTWRITEBYTECODE": "1",
        # What the host's own libraries would tell their makers; it would be laid at the plugin's door.
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        **(_of_windows(folder) if sys.platform == "win32" else {}),
    }


def _of_windows(folder: Path) -> dict[str, str]:
    """Without its root no socket opens and no library is found; the rest are its own names for ours."""
    root = os.environ.get("SYSTEMROOT", r"C:\Windows")
    return {
        "SYSTEMROOT": root,
        "PATH": rf"{root}\System32;{root}",
        "TEMP": str(folder / "tmp"),
        "TMP": str(folder / "tmp"),
        "USERPROFILE": str(folder / "home"),
    }


def _counts_alone(jail: Jail) -> bool:
    """Whether a limit on the user's processes would count this worker's alone."""
    return jail.user is not None or (jail.namespaces and os.geteuid() != 0)
