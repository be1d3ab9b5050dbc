"""Tries to end the process that started it."""

import contextlib
import os
import signal

from sound.plugin import Sound


class SignalsItsParent(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            os.kill(os.getppid(), signal.SIGWINCH)
