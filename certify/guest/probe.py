"""The isolation self-test: what a hostile plugin would try, done by ourselves before any candidate is loaded.

Harmless, and on loopback alone. Each act says what came of it; the host checks what it can from outside.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any


def run_probe(order: dict[str, Any]) -> list[dict[str, Any]]:
    """`order` names the decoys: `secret_file`, `outside_file`, `secret_variable`, `judge`, `tcp`, `udp`."""
    acts = {
        "read a file outside the work folder": lambda: Path(order["secret_file"]).read_text("utf-8"),
        "write a file outside the work folder": lambda: Path(order["outside_file"]).write_text("x", "utf-8"),
        "see the judge's environment": lambda: os.environ[order["secret_variable"]],
        "read the judge's memory map": lambda: (
            Path(f"/proc/{order['judge']}/maps").read_text("utf-8")[:1] or None
        ),
        "open a TCP connection": lambda: socket.create_connection(("127.0.0.1", order["tcp"]), 1).close(),
        "send a UDP datagram": lambda: _send_datagram(order["udp"]),
        "signal the judge": lambda: os.kill(order["judge"], 0),
        "leave a process behind": _leave_process,
    }
    return [_attempt(name, act) for name, act in acts.items()]


def _attempt(name: str, act: Any) -> dict[str, Any]:
    try:
        note = act()
    except Exception as error:
        return {"act": name, "stopped": True, "note": type(error).__name__}
    return {"act": name, "stopped": False, "note": str(note) if isinstance(note, int) else ""}


def _send_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"x", ("127.0.0.1", port))


def crowd(processes: int) -> int:
    """Forks that many idle children and waits a second: a watchdog ends us meanwhile."""
    for _ in range(processes):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
    time.sleep(1)
    return processes


def _leave_process() -> int:
    """A daemon that would live for a minute; answers its pid, and the host looks whether it outlived us."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        child = os.fork()
        if child == 0:
            os.closerange(0, 256)
            time.sleep(60)
            os._exit(0)
        os.write(write, str(child).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        pid = int(answer.read())
    os.wait()
    return pid
