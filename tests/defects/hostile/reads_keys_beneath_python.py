"""Reads the user's keys by the C library."""

from armoury import DECOYS, read_beneath_python, tell
from sound.plugin import Sound


class ReadsKeysBeneathPython(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.private-files
        loot = read_beneath_python(DECOYS["secret"])
        if loot:
            tell(loot)
