"""The ways in which a call to a candidate can fail. Each is an error of the candidate, not of the harness."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from certify.terms.faults import FaultKind

MAX_MESSAGE = 2000  # characters


@dataclass
class CandidateFault(Exception):
    """Base class: `message` is what happened, `request` was in flight, `log` has the worker's last lines."""

    # The requirement with this `judges` value judges such faults; None: each requirement judges them itself.
    kind: ClassVar[FaultKind | None] = None

    message: str
    request: str = ""
    log: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        # It may quote a hostile worker: lone surrogates cannot be encoded as UTF-8.
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
    """The plugin raised an exception for a request.

    `code` is the SDK's error code or empty; `error_type` the exception's class name.
    """

    code: str = ""
    error_type: str = ""
    remedies: tuple[str, ...] = ()


@dataclass
class WorkerEnded(CandidateFault):
    """The worker process ended during a request: by a signal or by an unexpected exit."""

    kind = "ended"


@dataclass
class TimedOut(CandidateFault):
    """No reply before the deadline, by the host's clock."""

    kind = "timed-out"


@dataclass
class MalformedReply(CandidateFault):
    """The reply breaks the protocol or is not an image."""

    kind = "malformed"


class Unreachable(Exception):
    """The plugin cannot be called (any more); `kind` is the kind of fault that is the reason, if any."""

    def __init__(self, message: str, kind: FaultKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class HostError(Exception):
    """The harness itself failed (no supervisor, no worker). It is never a fault of the candidate."""
