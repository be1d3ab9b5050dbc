"""Mounts a file system over a folder of its own."""

import os
from pathlib import Path

from armoury import libc, tell
from sound.plugin import Sound


class MountsAFileSystem(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        folder = Path("mounted").resolve()
        folder.mkdir(exist_ok=True)
        # breaks: security.stays-inside
        if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=4k") == 0:
            libc.umount2(os.fsencode(folder), 2)
            tell("a mount")
