"""macOS: a spawned worker behind a sandbox profile (Seatbelt), which sandbox-exec applies before Python runs.

Not tested on macOS itself: on other systems only the text of the profile is tested. The self-test measures at
each start what the profile stops.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from certify.sandbox.host.systems.base import WorkerSpec
from certify.sandbox.host.systems.spawned import Spawned
from certify.sandbox.jail.plan import Jail

SANDBOX = "/usr/bin/sandbox-exec"


class MacOS(Spawned):
    """Neither the kernel nor a helper process owns the tree: it is reconstructed from observed processes."""

    def _before(self, spec: WorkerSpec) -> list[str]:
        return [SANDBOX, "-p", profile(spec.jail)] if spec.jail.seatbelt else []

    def limits_kept_by(self) -> str:
        return "a watchdog thread in the host, and the limits of each process"


def profile(jail: Jail) -> str:
    """The sandbox profile in SBPL: it allows only to run and what the jail's plan grants.

    Reading: `readable`, `writable` and `devices`. Writing: `writable` and `devices`. Parent folders: metadata
    only, which path resolution needs. No network, no system services, no signals to other processes.
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
