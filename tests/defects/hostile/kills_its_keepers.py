"""Kills whoever started it, and whoever started those."""

import contextlib
import os
import signal
from pathlib import Path

from armoury import DECOYS
from sound.plugin import Sound


class KillsItsKeepers(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        keepers = [os.getppid()]
        with contextlib.suppress(OSError):
            keepers.append(int(Path(f"/proc/{keepers[0]}/stat").read_text().rpartition(")")[2].split()[1]))
        for pid in reversed(keepers):
            # Number 1 is ours behind walls alone.
            if pid not in (0, 1, DECOYS["judge"]) or (pid == 1 and DECOYS["walls"]):
                with contextlib.suppress(OSError):
                    # breaks: security.stays-inside
                    os.kill(pid, signal.SIGKILL)
