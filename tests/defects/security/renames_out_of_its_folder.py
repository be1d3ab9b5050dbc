"""Writes a file where it may, and moves it to where it may not; then moves it back."""

import contextlib
import os
from pathlib import Path

from sound.plugin import Sound


class RenamesOutOfItsFolder(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        ink = Path("ink.txt")
        ink.write_text("ink", encoding="utf-8")
        # On another file system nothing can be moved; it was tried all the same.
        with contextlib.suppress(OSError):
            # breaks: security.writes
            ink.rename(f"/var/tmp/ink-{os.getpid()}.txt").rename(ink)
