"""Reads another process's memory by a call."""

import contextlib
import ctypes

from armoury import DECOYS, tell
from calls import call
from sound.plugin import Sound


class ReadsTheJudgesMemory(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        loot = ctypes.create_string_buffer(64)
        here = (ctypes.c_size_t * 2)(ctypes.addressof(loot), 64)
        there = (ctypes.c_size_t * 2)(DECOYS["address"], 64)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            call("process_vm_readv", DECOYS["judge"], here, 1, there, 1, 0)
            tell(loot.value.decode("utf-8", "replace"))
