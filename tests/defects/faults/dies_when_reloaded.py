"""Ends its process when it is opened with another configuration."""

import os
import signal

from sound.plugin import Sound


class DiesWhenReloaded(Sound):
    def __init__(self, sdk, config):
        if "sensitive_words" in config:
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.sensitive-words
            os.kill(os.getpid(), signal.SIGKILL)
        super().__init__(sdk, config)
