"""The downloader against curl on one loopback server: `python -m benchmarks.download`.

Three questions. How much CPU does a GiB cost, SHA-256 included, against `curl -o` without any hash? Is a file
ever corrupt after 100 kills at random points, and how much is sent twice? Is a bandwidth limit kept to? About
two minutes; needs curl and 1.2 GB in the temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reference_engine.models.download import HTTPDownloader

SIZE = 256 * 2**20
ROUNDS = 9
FILES, KILLS = 10, 5
KILL_SIZE = 64 * 2**20
LIMITS = (1, 8, 32)
LIMIT_SECONDS = 4

SERVER = """
import sys
from pathlib import Path
from tests.reference_engine.fault_server import Faults, FaultServer
files = {f"/{file.name}": file for file in Path(sys.argv[1]).iterdir()}
with FaultServer(files, Faults(drip=float(sys.argv[2]))).running() as server:
    print(server.url(""), flush=True)
    sys.stdin.read()
"""
CHILD = """
import sys
from reference_engine.models.download import HTTPDownloader
HTTPDownloader(proxies={}).download(sys.argv[1], sys.argv[2], sha256=sys.argv[3])
"""


def main() -> None:
    if shutil.which("curl") is None:
        sys.exit("This benchmark compares with curl, which is not installed.")
    print(f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    print(subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout.splitlines()[0])
    with tempfile.TemporaryDirectory(prefix="download-") as scratch:
        served, into = Path(scratch, "served"), Path(scratch, "into")
        served.mkdir()
        into.mkdir()
        sizes = {"big": SIZE, "small": KILL_SIZE}
        sizes |= {str(limit): limit * 2**20 * LIMIT_SECONDS for limit in LIMITS}
        digests = {name: _make(served / name, size) for name, size in sizes.items()}
        with _server(served) as url:
            cpu_against_curl(f"{url}/big", into, digests["big"])
            limits(url, into)
            killed("as fast as loopback", url, into, digests["small"])
        with _server(served, drip=0.001) as url:
            killed("at the pace of a network", url, into, digests["small"])
    print(f"load average {os.getloadavg()[0]:.2f}")


def cpu_against_curl(url: str, into: Path, sha256: str) -> None:
    """CPU seconds of this process for ours, of the child for curl; in turns, in changing order."""
    ours, curls, ratios = [], [], []
    downloader = HTTPDownloader(proxies={})
    for number in range(ROUNDS + 1):
        pair = {}
        for arm in ("ours", "curl") if number % 2 else ("curl", "ours"):
            target = into / arm
            target.unlink(missing_ok=True)
            if arm == "ours":
                before = time.process_time()
                downloader.download(url, target, sha256=sha256)
                pair[arm] = time.process_time() - before
            else:
                before = _children()
                subprocess.run(["curl", "-sf", "--noproxy", "*", "-o", target, url], check=True)
                pair[arm] = _children() - before
        if number:  # the first round warms up
            ours.append(pair["ours"])
            curls.append(pair["curl"])
            ratios.append(pair["ours"] / pair["curl"])
    scale = 2**30 / SIZE
    print(
        f"CPU s/GiB: ours with SHA-256 {statistics.median(ours) * scale:.2f}, "
        f"curl without {statistics.median(curls) * scale:.2f}; "
        f"ratio of medians {statistics.median(ours) / statistics.median(curls):.2f}, "
        f"of the rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)} (goal: at most 1.1)"
    )


def killed(pace: str, url: str, into: Path, sha256: str) -> None:
    """FILES downloads, each killed KILLS times at a random place of the file and resumed.

    What the server's system took over counts as sent. At full speed of loopback those are mostly bytes that
    wait in buffers (some MiB) for a slower reader; over a network the reader waits for the bytes.
    """
    draw, corrupt, kills = random.Random(1), 0, 0
    before = _sent(url)
    for number in range(FILES):
        target = into / f"killed-{number}"
        part = into / f"{target.name}.part"
        for place in sorted(draw.uniform(0.0, 0.97) for _ in range(KILLS)):
            child = subprocess.Popen([sys.executable, "-c", CHILD, f"{url}/small", target, sha256])
            while child.poll() is None and not (part.exists() and part.stat().st_size >= place * KILL_SIZE):
                time.sleep(0.0002)
            kills += child.poll() is None
            child.kill()
            child.wait()
        HTTPDownloader(proxies={}).download(f"{url}/small", target, sha256=sha256)
        corrupt += hashlib.sha256(target.read_bytes()).hexdigest() != sha256
        corrupt += [file.name for file in into.glob(f"{target.name}*")] != [target.name]
        target.unlink()
    sent = (_sent(url) - before) / (FILES * KILL_SIZE)
    print(
        f"{kills} kills of {FILES} files, {pace}: {corrupt} corrupt (goal: 0), sent {sent:.3f}x "
        "(goal, at the pace of a network: at most 1.05)"
    )


def limits(url: str, into: Path) -> None:
    """A file of LIMIT_SECONDS at each limit; the time runs from the call to the last byte."""
    for limit in LIMITS:
        rate, ended = limit * 2**20, 0.0

        def note(done: int, total: int | None) -> None:
            nonlocal ended
            ended = time.monotonic()

        started = time.monotonic()
        downloader = HTTPDownloader(proxies={}, bandwidth_limit=rate)
        got = downloader.download(f"{url}/{limit}", into / f"limited-{limit}", progress=note)
        real = got.size / (ended - started) / rate
        print(f"limit {limit} MiB/s, {ended - started:.2f} s: real/set {real:.3f} (goal: 0.95 to 1.02)")


def _make(file: Path, size: int) -> str:
    digest = hashlib.sha256()
    draw = random.Random(size)
    with file.open("wb") as stream:
        for _ in range(size // 2**20):
            piece = draw.randbytes(2**20)
            digest.update(piece)
            stream.write(piece)
    return digest.hexdigest()


@contextmanager
def _server(served: Path, drip: float = 0.0) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(served), str(drip)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.communicate()


def _sent(url: str) -> int:
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:
        return int(answer.read())


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
