"""Sets up a ring whose requests no filter of calls sees."""

import contextlib
import ctypes
import os

from armoury import tell
from calls import call
from sound.plugin import Sound


class SetsUpIoUring(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120)))
            tell("a ring")
