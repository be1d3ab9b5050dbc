"""Hides what it sends in the name that it asks a name server for."""

import socket

from armoury import DECOYS, libc, loopback
from sound.plugin import Sound


class AsksANameServer(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\x08a-prompt\x07invalid\0\0\x10\0\1"
        address = loopback(DECOYS["udp"])
        out = libc.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
        # breaks: security.network
        libc.sendto(out, query, len(query), 0, address, len(address))
        libc.close(out)
