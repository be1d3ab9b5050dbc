"""A3: a download that is killed at any point goes on from there and never leaves a wrong file."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reference_engine.models.download import HTTPDownloader
from tests.reference_engine.fault_server import Faults, FaultServer

CONTENT = random.Random(3).randbytes(6 * 2**20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KILLS = 6

DOWNLOAD = """
import sys
from reference_engine.models.download import HTTPDownloader
HTTPDownloader(proxies={}).download(sys.argv[1], sys.argv[2], sha256=sys.argv[3])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_kill_9_at_random_points_loses_next_to_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    part = tmp_path / "file.part"
    draw = random.Random(4)
    places = sorted(draw.randrange(1, len(CONTENT)) for _ in range(KILLS))
    with FaultServer({"/file": CONTENT}, Faults(drip=0.002, piece=2**15)).running() as server:
        for place in places:
            child = subprocess.Popen([sys.executable, "-c", DOWNLOAD, server.url(), target, SHA256])
            until = time.monotonic() + 20
            while time.monotonic() < until and child.poll() is None:
                if part.exists() and part.stat().st_size >= place:
                    break
                time.sleep(0.001)
            child.kill()
            child.wait(10)
            assert not target.exists()
        got = HTTPDownloader(proxies={}).download(server.url(), target, sha256=SHA256)
        assert got.resumed_from >= places[-1]
        assert len(server.seen) == KILLS + 1
        assert sum(start is not None for start in server.ranges_asked) == KILLS
    assert target.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
