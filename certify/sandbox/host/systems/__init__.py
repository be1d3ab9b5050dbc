"""One module a system: how workers are started, shut in and ended there. The level is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from certify.sandbox.host.faults import HostError
from certify.sandbox.host.systems.base import System

# From the scratch folder, the environment of what stands between us and workers, and whether workers find the
# heavy libraries imported, where the system can do that.
Starter = Callable[[Path, dict[str, str], bool], System]


def here() -> Starter:
    """Of this system; raises HostError where there is none."""
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
        "`certify doctor` tells more."
    )
