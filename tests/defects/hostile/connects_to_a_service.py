"""Connects to a service of this machine by its path. What was not given is not there."""

import contextlib
import socket

from armoury import DECOYS
from sound.plugin import Sound


class ConnectsToAService(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as out:
            # breaks: nothing
            out.connect(DECOYS["unix"])
