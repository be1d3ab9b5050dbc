"""Starts a program that lies in no folder, to write where it may not itself."""

import contextlib
import os
import subprocess
from pathlib import Path

from armoury import DECOYS
from sound.plugin import Sound


class RunsAProgramFromMemory(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        program = os.memfd_create("program")
        os.write(program, Path("/bin/cp").read_bytes())
        copy = [f"/proc/self/fd/{program}", "/etc/hosts", DECOYS["outside"]]
        with contextlib.suppress(OSError):
            # breaks: security.programs as warned
            # breaks: security.writes
            subprocess.run(copy, pass_fds=[program], check=False, capture_output=True)
