"""macOS: a spawned worker behind a sandbox profile (Seatbelt), which sandbox-exec applies before Python runs.

Not evidenced natively: of it other systems can test no more than the text of the profile. The self-test says
at each start what it stops.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from certify.sandbox.host.systems.base import WorkerSpec
from certify.sandbox.host.systems.spawned import Spawned
from certify.sandbox.jail.plan import Jail

SANDBOX = "/usr/bin/sandbox-exec"


class MacOS(Spawned):
    """Neither the kernel nor a process of ours owns the tree: it is found by what was seen of it."""

    def _before(self, order: WorkerSpec) -> list[str]:
        return [SANDBOX, "-p", profile(order.jail)] if order.jail.seatbelt else []

    def limits_kept_by(self) -> str:
        return "a watch of the judge's, and the limits of each process"


def profile(jail: Jail) -> str:
    """The profile in SBPL: nothing is allowed but to run, and what the jail's plan gives.

    Reading: `readable`, `writable` and `devices`; writing: the last two; of the folders above them the
    metadata alone, without which no path can be resolved. No network, no service of the system, no signal to
    anybody outside.
    """
    given = (*jail.readable, *jail.writable)
    return "\n".join(
        (
            "(version 1)",
            "(deny default)",
            "(allow process-exec* process-fork)",
            "(allow process-info* (target same-sandbox))",
            "(allow signal (target same-sandbox))",
            "(allow sysctl-read)",
            _allow("file-read-metadata", "literal", _above((*given, *jail.devices))),
            _allow("file-read* file-map-executable", "subpath", given),
            _allow("file-write*", "subpath", jail.writable),
            _allow("file-read* file-write-data file-ioctl", "literal", jail.devices),
            "",
        )
    )


def _allow(operations: str, kind: str, paths: Iterable[str]) -> str:
    filters = "".join(f"\n    ({kind} {quoted(path)})" for path in paths)
    # A rule without a filter would hold for every path.
    return f"(allow {operations}{filters})" if filters else f"; nothing: {operations}"


def quoted(path: str) -> str:
    """A string of SBPL."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _above(paths: Iterable[str]) -> list[str]:
    return sorted({str(folder) for path in paths for folder in PurePosixPath(path).parents})
