"""Asks for the keys that the kernel keeps for others."""

import contextlib

from armoury import tell
from calls import call
from sound.plugin import Sound


class ReachesTheKernelsKeys(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            call("keyctl", 0, -3, 0, 0, 0)
            tell("the kernel's keys")
