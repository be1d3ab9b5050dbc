"""Connects by the C library, where Python sees nothing."""

import socket

from armoury import DECOYS, libc, loopback
from sound.plugin import Sound


class ConnectsBeneathPython(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        address = loopback(DECOYS["tcp"])
        out = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        # breaks: security.network
        libc.connect(out, address, len(address))
        libc.close(out)
