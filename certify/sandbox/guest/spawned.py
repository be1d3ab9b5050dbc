"""A spawned worker, for systems where a fork of a process with torch in it is not safe.

Its environment is clean, the operating system's module confines it, and it sends `{"up": true}` first.
"""

from __future__ import annotations

import json
import os
import sys

from ..protocol import pack, write_all
from .forget_paths import forget_missing_paths
from .worker import run


def main(ends: list[str], folder: str, rlimits: str) -> None:
    """Never returns. `ends`: the inherited file descriptors of requests, answers and events."""
    requests, answers, events = _descriptors([int(number) for number in ends])
    sys.argv = ["plugin-host"]
    os.chdir(folder)
    if sys.platform != "win32":
        from ..jail.identity import limit

        limit(json.loads(rlimits))
    forget_missing_paths()
    write_all(answers, pack({"up": True}))
    run(requests, answers, events)


def _descriptors(numbers: list[int]) -> list[int]:
    if sys.platform == "win32":
        import msvcrt

        modes = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)
        return [msvcrt.open_osfhandle(number, mode) for number, mode in zip(numbers, modes, strict=True)]
    for number in numbers:
        # Programs that the plugin starts must not inherit them.
        os.set_inheritable(number, False)
    return numbers
