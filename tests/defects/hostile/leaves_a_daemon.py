"""Leaves a process behind that has left its parents."""

import os
import time

from armoury import DECOYS, libc
from sound.plugin import Sound


class LeavesADaemon(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                libc.prctl(15, DECOYS["daemon"].encode(), 0, 0, 0)
                # breaks: nothing
                time.sleep(60)
            os._exit(0)
        os.wait()
