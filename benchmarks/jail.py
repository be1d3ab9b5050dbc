"""What the jail and the pipes cost.

    python -m benchmarks.jail

Each figure stands against a peer measured in turns with it: a worker with walls against one without, the
protocol against `multiprocessing.connection` and a plain pipe, calls of the system inside against outside of
the jail. Medians; the quartiles tell how quiet the machine was. Linux.
"""

from __future__ import annotations

import multiprocessing.connection
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from certify.sandbox.host.faults import PluginError
from certify.sandbox.host.host import Host
from certify.sandbox.host.session import Session, load_candidate
from certify.sandbox.protocol import Frame, FrameParser, pack, read_frame, write_all

STARTS, CALLS, ROUNDS = 30, 100, 15
IMAGE = os.urandom(512 * 512 * 3)
PLUGIN = '''
import os, signal, time
import numpy as np

WEIGHTS = os.path.join(os.path.dirname(__file__), "weights.safetensors")

class Plugin:
    def __init__(self, sdk, config):
        self.weights = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype("float32")

    async def generate_image(self, prompt, count=1):
        act = getattr(self, prompt)
        act()
        started = time.perf_counter()
        for _ in range(count):
            act()
        raise RuntimeError(repr((time.perf_counter() - started) / count))

    def steps(self):
        """Eight convolutions of a picture, as a small net would do them."""
        picture = np.ones((66, 66, 16), "float32")
        for _ in range(8):
            places = [(i, j) for i in range(3) for j in range(3)]
            out = sum(picture[i : 64 + i, j : 64 + j] @ self.weights[i, j] for i, j in places)
            picture = np.pad(np.tanh(out), ((1, 1), (1, 1), (0, 0)))

    def read(self):
        os.close(os.open("/usr/bin/env", os.O_RDONLY))

    def read_weights(self):
        os.close(os.open(WEIGHTS, os.O_RDONLY))

    def write(self):
        os.close(os.open("x", os.O_WRONLY | os.O_CREAT))

    def signal(self):
        """Asked of the supervisor, who lets it go on; without walls a call of the kernel alone."""
        os.kill(os.getpid(), 0)

    def stat(self):
        """Not in the filter's table: only the walk through it."""
        os.stat("/usr/bin/env")

def create(*given):
    return Plugin(*given)
'''


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs, {os.uname().release}")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        plugin = scratch / "plugin"
        plugin.mkdir()
        plugin.joinpath("timed.py").write_text(PLUGIN, "utf-8")
        save_file({"weight": np.zeros((64, 64), np.float32)}, plugin / "weights.safetensors")
        (plugin / "weights.safetensors").chmod(0o644)  # safetensors writes for its user alone
        with (
            Host(scratch / "walled", warm=False) as walled,
            Host(scratch / "open", warm=False, walls=False) as unwalled,
        ):
            starts(walled, unwalled, scratch)
            print(f"walls: {walled.walls}")
            inside(walled, unwalled, scratch, plugin)
    protocol()


def compare(what: str, ours: list[float], peers: list[float], unit: str, scale: float) -> None:
    low, middle, high = statistics.quantiles(
        [mine / other for mine, other in zip(ours, peers, strict=True)], n=4
    )
    first, second = statistics.median(ours) * scale, statistics.median(peers) * scale
    print(
        f"{what}: {middle:.2f} (quartiles {low:.2f} to {high:.2f}); "
        f"{first:.2f} {unit} / {second:.2f} {unit}, {len(ours)} pairs"
    )


def starts(walled: Host, unwalled: Host, scratch: Path) -> None:
    def start(host: Host, number: int) -> float:
        started = time.perf_counter()
        session = Session(host, scratch / f"start-{number}")
        session.ask("quiesce", 30)
        seconds = time.perf_counter() - started
        session.end()
        return seconds

    start(walled, -1), start(unwalled, -2)
    pairs = [(start(walled, 2 * n), start(unwalled, 2 * n + 1)) for n in range(STARTS)]
    compare("start and first answer of a worker, walls / none", *turned(pairs), "ms", 1e3)


def turned(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def inside(walled: Host, unwalled: Host, scratch: Path, plugin: Path) -> None:
    sessions = []
    for number, host in enumerate((walled, unwalled)):
        session = Session(host, scratch / f"inside-{number}", readable=[str(plugin)])
        order = {"root": str(plugin), "kind": "native", "entry": "timed:create", "config": {}}
        load_candidate(session, 60, **order, allowed=[str(session.folder)])
        sessions.append(session)

    def timed(session: Session, act: str, count: int) -> float:
        try:
            session.ask("generate", 60, request={"prompt": act, "count": count})
        except PluginError as told:
            return float(told.message)
        raise AssertionError("it tells by an exception")

    for act, what, count in (
        ("steps", "8 steps of convolutions", 3),
        ("read", "open for reading", 200),
        ("read_weights", "open weights for reading, which are looked at", 200),
        ("write", "open for writing", 200),
        ("signal", "a signal, asked of the supervisor", 200),
        ("stat", "stat, which no rule names", 2000),
    ):
        rounds = [(timed(sessions[0], act, count), timed(sessions[1], act, count)) for _ in range(ROUNDS)]
        unit, scale = ("ms", 1e3) if act == "steps" else ("us", 1e6)
        compare(f"{what}, walls / none", *turned(rounds), unit, scale)
    for session in sessions:
        session.end()


def echo(serve: Callable[[int, int], None]) -> tuple[int, int, int]:
    """A fork that serves between two pipes; our ends and its pid."""
    (read, theirs_write), (theirs_read, write) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read), os.close(write)
        serve(theirs_read, theirs_write)
        os._exit(0)
    os.close(theirs_read), os.close(theirs_write)
    return read, write, pid


def protocol() -> None:
    """A small request, and a picture of 512 x 512 pixels back: by frames, by a peer, and bare."""

    def serve_frames(read: int, write: int) -> None:
        while read_frame(read) is not None:
            write_all(write, pack({"nonce": "0" * 32, "ok": True, "width": 512, "height": 512}, IMAGE))

    def serve_bare(read: int, write: int) -> None:
        while os.read(read, 1):
            write_all(write, IMAGE)

    def serve_peer(read: int, write: int) -> None:
        asked, told = peer(read, False), peer(write, True)
        try:
            while asked.recv_bytes():
                told.send_bytes(IMAGE)
        except EOFError:
            return

    def by_frames(read: int, write: int) -> None:
        write_all(write, pack({"op": "generate", "nonce": "0" * 32}))
        parser = FrameParser()
        frames: list[Frame] = []
        while not frames:
            frames = parser.feed(os.read(read, 1 << 20))
        assert len(frames[0].payload) == len(IMAGE)

    def bare(read: int, write: int) -> None:
        os.write(write, b"x")
        left = len(IMAGE)
        while left:
            left -= len(os.read(read, 1 << 20))

    links = [echo(serve) for serve in (serve_frames, serve_peer, serve_bare)]
    told, asked = peer(links[1][0], False), peer(links[1][1], True)

    def by_peer(*_: int) -> None:
        asked.send_bytes(b"x")
        assert len(told.recv_bytes()) == len(IMAGE)

    acts: tuple[Callable[[int, int], None], ...] = (by_frames, by_peer, bare)
    rows: list[tuple[float, ...]] = []
    for _ in range(CALLS):
        row = []
        for act, (read, write, _) in zip(acts, links, strict=True):
            started = time.perf_counter()
            act(read, write)
            row.append(time.perf_counter() - started)
        rows.append(tuple(row))
    ours, peers, plain = (list(column) for column in zip(*rows, strict=True))
    compare("a call with a picture, frames / multiprocessing.connection", ours, peers, "ms", 1e3)
    compare("a call with a picture, frames / a bare pipe", ours, plain, "ms", 1e3)
    asked.close(), told.close()
    for read, write, pid in (links[0], links[2]):
        os.close(write), os.close(read)
        os.kill(pid, 9)
    os.kill(links[1][2], 9)
    for _, _, pid in links:
        os.waitpid(pid, 0)


def peer(descriptor: int, writes: bool) -> multiprocessing.connection.Connection:
    return multiprocessing.connection.Connection(descriptor, readable=not writes, writable=writes)


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("the jail is Linux's")
    main()
