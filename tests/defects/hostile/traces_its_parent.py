"""Attaches to the process that started it."""

import os

from armoury import in_a_fork, tell
from calls import call
from sound.plugin import Sound


class TracesItsParent(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        parent = os.getppid()

        def act():
            # breaks: security.stays-inside
            call("ptrace", 0x4206, parent, 0, 0)
            tell("traced its parent")

        in_a_fork(act)
