"""One module per operating system: how workers are started, sandboxed and ended. The level is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from certify.sandbox.host.faults import HostError
from certify.sandbox.host.systems.base import System

# Arguments: the scratch folder, the environment of the helper processes, and whether the heavy libraries are
# imported in advance, where the system supports it.
Starter = Callable[[Path, dict[str, str], bool], System]


def here() -> Starter:
    """The class for this system. Raises HostError where there is none."""
    if sys.platform == "linux":
        from certify.sandbox.host.systems.linux import Linux

        return Linux
    if sys.platform == "darwin":
        from certify.sandbox.host.systems.macos import MacOS

        return MacOS
    if sys.platform == "win32":
        from certify.sandbox.host.systems.windows import Windows

        return Windows
    raise HostError(
        f"A candidate can be run on Linux, macOS and Windows; this is {sys.platform}. "
        "`certify doctor` says more."
    )
