"""What a system must do for a host: start a worker behind walls, end its tree, and tell what befell it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from certify.sandbox.host.pipes import Pipes
from certify.sandbox.jail.plan import Jail

if TYPE_CHECKING:
    from certify.sandbox.jail.notify import Attempt

# Between two looks at what a worker's tree holds, in seconds.
TICK = 0.1
# From ntstatus.h: with what Windows ends a process that crashed.
_WINDOWS_CODES = {
    0xC0000005: "access violation",
    0xC00000FD: "stack overflow",
    0xC0000409: "stack buffer overrun",
    0xC0000017: "no memory",
}


@dataclass(frozen=True)
class WorkerSpec:
    """A worker to be started. `limits` are its tree's (processes, and bytes of memory and disk), `rlimits`
    each process' (RLIMIT_* by name)."""

    number: int
    jail: Jail
    environment: dict[str, str]
    limits: dict[str, int]
    rlimits: dict[str, int]


@dataclass(frozen=True)
class Process:
    """A worker: the process at the root of its tree, and our ends of its pipes."""

    pid: int
    pipes: Pipes


@dataclass
class WorkerEvents:
    """What befell workers, by pid: how they exited (negative: by that signal), the limit that they passed and
    who saw it, and what their filters refused, until it is taken."""

    exits: dict[int, int] = field(default_factory=dict)
    passed_limits: dict[int, str] = field(default_factory=dict)
    attempts: dict[int, list[Attempt]] = field(default_factory=dict)

    def forget(self, pid: int) -> None:
        """A new worker has this number; what befell the last one that had it is none of its own."""
        self.exits.pop(pid, None)
        self.passed_limits.pop(pid, None)
        self.attempts.pop(pid, None)


class System(Protocol):
    """Every method raises HostError where the system's own part is broken: then nothing more can be run."""

    events: WorkerEvents

    def start(self, order: WorkerSpec) -> tuple[Process, str]:
        """A worker behind the walls of `order`, and what kept them from standing: empty where they do."""

    def note(self) -> None:
        """Takes up in `told` what has happened meanwhile, without waiting."""

    def kill(self, pid: int) -> None:
        """Ends a worker and everything that came from it that can be found; returns when it is gone."""

    def limits_kept_by(self) -> str:
        """Who holds a worker's tree to its limits, in words."""

    def log_tail(self) -> str:
        """The last line that the processes between us and the workers wrote."""

    def close(self) -> None:
        """Ends everything."""


def describe_exit(code: int) -> str:
    """An exit code in words: `killed by SIGSEGV`, `exited with code 0`."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    name = _WINDOWS_CODES.get(code, "") if os.name == "nt" else ""
    return f"exited with code {code:#x} ({name})" if name else f"exited with code {code}"
