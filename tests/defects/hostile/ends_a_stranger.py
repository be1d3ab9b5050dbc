"""Ends a process that is none of its own."""

import contextlib
import os
import signal

from armoury import DECOYS
from sound.plugin import Sound


class EndsAStranger(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            os.kill(DECOYS["stranger"], signal.SIGTERM)
