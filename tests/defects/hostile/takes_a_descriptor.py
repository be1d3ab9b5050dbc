"""Takes an open file out of another process."""

import contextlib
import os

from armoury import tell
from calls import call
from sound.plugin import Sound


class TakesADescriptor(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError, AttributeError):
            parent = os.pidfd_open(os.getppid())
            # breaks: security.stays-inside
            os.close(call("pidfd_getfd", parent, 0, 0))
            tell("a descriptor of its parent")
