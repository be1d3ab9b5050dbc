"""Writes a program and starts it."""

import contextlib
import subprocess
from pathlib import Path

from armoury import tell
from sound.plugin import Sound


class RunsADroppedProgram(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        program = Path("program").resolve()
        program.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        program.chmod(0o755)
        with contextlib.suppress(OSError):
            # breaks: security.programs as warned
            subprocess.run([program], check=True)
            tell("a dropped program ran")
