"""Opens a netlink socket; the C library does so too, so it is refused and not held against it."""

import contextlib
import socket

from armoury import tell
from sound.plugin import Sound


class ListensToTheKernel(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: nothing
            socket.socket(16, socket.SOCK_RAW, 0).close()
            tell("a netlink socket")
