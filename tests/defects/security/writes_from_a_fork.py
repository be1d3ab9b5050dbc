"""Leaves it to a child to write in the system's folder for temporary files."""

import os
from pathlib import Path

from sound.plugin import Sound


class WritesFromAFork(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        child = os.fork()
        if child == 0:
            try:
                elsewhere = Path(f"/var/tmp/ink-{os.getpid()}.txt")
                # breaks: security.writes
                elsewhere.write_text("ink", encoding="utf-8")
                elsewhere.unlink()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
