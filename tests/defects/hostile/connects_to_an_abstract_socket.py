"""Connects to a socket that has a name and no file."""

import contextlib
import socket

from armoury import DECOYS
from sound.plugin import Sound


class ConnectsToAnAbstractSocket(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as out:
            # breaks: nothing
            out.connect("\0" + DECOYS["abstract"])
