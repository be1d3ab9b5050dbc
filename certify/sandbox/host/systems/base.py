"""The interface of an operating system: start a sandboxed worker, end its process tree, report its events."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from certify.sandbox.host.pipes import Pipes
from certify.sandbox.jail.plan import Jail

if TYPE_CHECKING:
    from certify.sandbox.jail.notify import Attempt

# Seconds between two checks of a worker's limits.
TICK = 0.1
# From ntstatus.h: exit codes of crashed processes on Windows.
_WINDOWS_CODES = {
    0xC0000005: "access violation",
    0xC00000FD: "stack overflow",
    0xC0000409: "stack buffer overrun",
    0xC0000017: "no memory",
}


@dataclass(frozen=True)
class WorkerSpec:
    """A worker to start. `limits` hold for its process tree (processes, and bytes of memory and disk),
    `rlimits` for each process (RLIMIT_* by name)."""

    number: int
    jail: Jail
    environment: dict[str, str]
    limits: dict[str, int]
    rlimits: dict[str, int]


@dataclass(frozen=True)
class Process:
    """A worker: the root of its process tree, and the host's ends of its pipes."""

    pid: int
    pipes: Pipes


@dataclass
class WorkerEvents:
    """Worker events by process id: exit codes (negative: a signal), the limit that was exceeded and who
    noticed, and the attempts that the filters reported, until they are taken."""

    exits: dict[int, int] = field(default_factory=dict)
    passed_limits: dict[int, str] = field(default_factory=dict)
    attempts: dict[int, list[Attempt]] = field(default_factory=dict)

    def forget(self, pid: int) -> None:
        """Drops the events of an earlier worker with this pid."""
        self.exits.pop(pid, None)
        self.passed_limits.pop(pid, None)
        self.attempts.pop(pid, None)


class System(Protocol):
    """Every method raises HostError where the system itself fails; then nothing more can be run."""

    events: WorkerEvents

    def start(self, spec: WorkerSpec) -> tuple[Process, str]:
        """A worker in the jail of `spec`, and why its walls could not be built: empty where they could."""

    def note(self) -> None:
        """Adds the events that have arrived to `events`, without waiting."""

    def kill(self, pid: int) -> None:
        """Ends a worker and all of its processes that can be identified; returns when they are gone."""

    def limits_kept_by(self) -> str:
        """What enforces the limits of a worker's process tree, as text."""

    def log_tail(self) -> str:
        """The last log line of the helper processes."""

    def close(self) -> None:
        """Ends all workers and helper processes."""


def describe_exit(code: int) -> str:
    """An exit code as text: `killed by SIGSEGV`, `exited with code 0`."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    name = _WINDOWS_CODES.get(code, "") if os.name == "nt" else ""
    return f"exited with code {code:#x} ({name})" if name else f"exited with code {code}"
