"""What the hostile plugins share: where the decoys are, calls beneath Python, and a way to tell what worked.

Copied into the folder of each; it runs inside the worker.
"""

import contextlib
import ctypes
import json
import os
import socket
import struct
from pathlib import Path

DECOYS = json.loads(Path(__file__).with_name("decoys.json").read_text(encoding="utf-8"))
EVENTS = 5
libc = ctypes.CDLL(None, use_errno=True)


def tell(what):
    """Reaches the record by the pipe of events, which anybody may write into; the token is found in it."""
    line = json.dumps({"kind": "local", "detail": f"told {DECOYS['token']} {what}"[:300]})
    os.write(EVENTS, line.encode() + b"\n")


def loopback(port):
    """A struct sockaddr_in."""
    return struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port), bytes([127, 0, 0, 1]))


def in_a_fork(act):
    """Has a child do it, for what would stay with the process."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(Exception):
            act()
        os._exit(0)
    os.waitpid(child, 0)


def write_beneath_python(path, text=b"x"):
    """By the C library: no audit event. -1 where it was refused."""
    descriptor = libc.open(os.fsencode(path), os.O_WRONLY | os.O_CREAT, 0o644)
    if descriptor >= 0:
        libc.write(descriptor, text, len(text))
        libc.close(descriptor)
    return descriptor


def read_beneath_python(path):
    descriptor = libc.open(os.fsencode(path), os.O_RDONLY)
    if descriptor < 0:
        return ""
    room = ctypes.create_string_buffer(4000)
    libc.read(descriptor, room, 3999)
    libc.close(descriptor)
    return room.raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()
