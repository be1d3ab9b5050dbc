"""Would hear every packet of the machine."""

import contextlib
import socket

from armoury import tell
from sound.plugin import Sound


class OpensAPacketSocket(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            socket.socket(17, socket.SOCK_RAW, 0).close()
            tell("a packet socket")
