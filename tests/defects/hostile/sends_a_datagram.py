"""Sends what it knows in a datagram, which needs no connection."""

import contextlib
import socket

from armoury import DECOYS
from sound.plugin import Sound


class SendsADatagram(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            # breaks: security.network
            out.sendto(b"a prompt", ("127.0.0.1", DECOYS["udp"]))
