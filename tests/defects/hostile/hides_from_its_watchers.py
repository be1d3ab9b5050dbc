"""Asks the kernel to let nobody look into its memory."""

from armoury import libc, tell
from sound.plugin import Sound


class HidesFromItsWatchers(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.stays-inside
        libc.prctl(4, 0, 0, 0, 0)
        if libc.prctl(3, 0, 0, 0, 0) == 0:
            libc.prctl(4, 1, 0, 0, 0)
            tell("hidden from others")
