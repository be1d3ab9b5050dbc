"""Has the kernel make a map for its programs."""

import contextlib
import ctypes
import os
import struct

from armoury import tell
from calls import call
from sound.plugin import Sound


class LoadsAKernelProgram(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        attributes = ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 4, 1), 72)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            os.close(call("bpf", 0, attributes, 72))
            tell("a map for programs in the kernel")
