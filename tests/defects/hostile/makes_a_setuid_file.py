"""Makes a program that would run as its owner, whoever starts it."""

import contextlib
from pathlib import Path

from sound.plugin import Sound


class MakesASetuidFile(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        program = Path("program")
        program.write_bytes(b"#!/bin/sh\n")
        with contextlib.suppress(OSError):
            # breaks: nothing
            program.chmod(0o4755)
