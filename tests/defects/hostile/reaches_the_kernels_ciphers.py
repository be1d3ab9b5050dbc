"""Reaches a part of the kernel that few use, and that had its holes."""

import contextlib
import socket

from armoury import tell
from sound.plugin import Sound


class ReachesTheKernelsCiphers(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.stays-inside
            socket.socket(38, socket.SOCK_SEQPACKET, 0).close()
            tell("a cipher socket")
