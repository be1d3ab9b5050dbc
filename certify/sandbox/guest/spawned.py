"""A worker that was spawned, for systems where it is not safe to fork from a process with torch in it.

Its environment is clean, it is the system's to shut it in, and it tells `{"up": true}` before anything else.
"""

from __future__ import annotations

import json
import os
import sys

from ..protocol import pack, write_all
from .forget_paths import forget_what_was_not_given
from .worker import run


def main(ends: list[str], folder: str, rlimits: str) -> None:
    """Never returns. `ends`: where requests, answers and events pass, as numbers that were inherited."""
    requests, answers, events = _descriptors([int(number) for number in ends])
    sys.argv = ["plugin-host"]
    os.chdir(folder)
    if sys.platform != "win32":
        from ..jail.identity import limit

        limit(json.loads(rlimits))
    forget_what_was_not_given()
    write_all(answers, pack({"up": True}))
    run(requests, answers, events)


def _descriptors(numbers: list[int]) -> list[int]:
    if sys.platform == "win32":
        import msvcrt

        modes = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)
        return [msvcrt.open_osfhandle(number, mode) for number, mode in zip(numbers, modes, strict=True)]
    for number in numbers:
        # Programs that the plugin starts have no part in them.
        os.set_inheritable(number, False)
    return numbers
