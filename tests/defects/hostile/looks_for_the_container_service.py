"""Looks for the socket that rules all containers of a machine."""

import socket
import struct

from armoury import libc
from sound.plugin import Sound


class LooksForTheContainerService(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        address = struct.pack("=H", socket.AF_UNIX) + b"/var/run/docker.sock\0"
        out = libc.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
        # breaks: security.private-files
        libc.connect(out, address, len(address))
        libc.close(out)
