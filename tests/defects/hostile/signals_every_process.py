"""Signals all that it can reach, with a signal that is ignored unless asked for."""

import contextlib
import os
import signal

from armoury import DECOYS
from sound.plugin import Sound


class SignalsEveryProcess(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        if DECOYS["walls"]:
            with contextlib.suppress(OSError):
                # breaks: security.stays-inside
                os.kill(-1, signal.SIGWINCH)
