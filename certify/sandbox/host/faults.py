"""What a candidate can do wrong in a call, told apart. Each is an error value of the candidate, not ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from certify.terms.faults import FaultKind

MAX_MESSAGE = 2000


@dataclass
class CandidateFault(Exception):
    """Base: `message` says what happened; `request` what was in flight; `log` the worker's last lines."""

    # What the requirement that judges such faults is found by; empty for what each requirement judges itself.
    kind: ClassVar[FaultKind | None] = None

    message: str
    request: str = ""
    log: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        # It may quote what a hostile worker sent: lone surrogates can be written into no file.
        self.message = self.message[:MAX_MESSAGE].encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


@dataclass
class LoadFailed(CandidateFault):
    """The entry could not be imported, or its factory raised."""

    kind = "load-failed"

    code: str = ""


@dataclass
class PluginError(CandidateFault):
    """The plugin answered a request with an exception.

    `code` is the SDK's error code or empty; `error_type` the exception's class name.
    """

    code: str = ""
    error_type: str = ""
    remedies: tuple[str, ...] = ()


@dataclass
class WorkerEnded(CandidateFault):
    """The process ended during a request: by a signal, or by an exit that nobody asked for."""

    kind = "ended"


@dataclass
class TimedOut(CandidateFault):
    """No answer within the deadline of the judge's clock."""

    kind = "timed-out"


@dataclass
class MalformedReply(CandidateFault):
    """The answer broke the protocol, or is not a picture."""

    kind = "malformed"


class Unreachable(Exception):
    """The plugin cannot be called (any more); `kind` is of the faults that made it so, where faults did."""

    def __init__(self, message: str, kind: FaultKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class HostError(Exception):
    """The harness could not do its own part (no supervisor, no worker): never the candidate's fault."""
