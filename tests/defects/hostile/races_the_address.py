"""Changes the address while the kernel reads it, so that whoever looks may see another."""

import ctypes
import socket
import threading

from armoury import DECOYS, libc, loopback
from sound.plugin import Sound


class RacesTheAddress(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        address = ctypes.create_string_buffer(loopback(9), 16)
        real, ended = loopback(DECOYS["udp"]), threading.Event()

        def flip():
            while not ended.is_set():
                ctypes.memmove(address, real, 16)
                ctypes.memset(address, 0, 16)

        other = threading.Thread(target=flip)
        other.start()
        out = libc.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
        for _ in range(200):
            # breaks: security.network
            libc.sendto(out, b"x", 1, 0, address, 16)
        libc.close(out)
        ended.set()
        other.join()
