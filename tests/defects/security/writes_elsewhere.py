"""Leaves a file in the system's folder for temporary files, and takes it away again."""

import contextlib
import os
from pathlib import Path

from sound.plugin import Sound


class WritesElsewhere(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        elsewhere = Path(f"/var/tmp/ink-{os.getpid()}.txt")
        # Behind walls it is refused; it was tried all the same.
        with contextlib.suppress(OSError):
            # breaks: security.writes
            elsewhere.write_text("ink", encoding="utf-8")
            elsewhere.unlink()
