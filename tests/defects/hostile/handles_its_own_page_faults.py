"""Would hold the kernel up in the midst of its work."""

import contextlib
import os

from armoury import tell
from calls import call
from sound.plugin import Sound


class HandlesItsOwnPageFaults(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            os.close(call("userfaultfd", 1))
            tell("page faults")
