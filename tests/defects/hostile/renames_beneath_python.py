"""Moves a file of its own to where it may not write."""

import os
from pathlib import Path

from armoury import DECOYS, libc
from sound.plugin import Sound


class RenamesBeneathPython(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        Path("ink").write_text("ink", encoding="utf-8")
        # breaks: security.writes
        libc.rename(b"ink", os.fsencode(DECOYS["outside"]))
