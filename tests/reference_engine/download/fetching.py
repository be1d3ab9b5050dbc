"""What the tests of downloads fetch, and how."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from reference_engine.models.download import Download, DownloadError, HTTPDownloader
from tests.reference_engine.fault_server import Faults, FaultServer

CONTENT = random.Random(1).randbytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(2).randbytes(700_000)


def get(server: FaultServer, target: Path, **options: Any) -> Download:
    own = {"backoff": 0.001, "timeout": 5.0, **options.pop("downloader", {})}
    return HTTPDownloader(**own).download(options.pop("url", server.url()), target, **options)


def leftovers(target: Path) -> list[str]:
    return sorted(file.name for file in target.parent.iterdir() if file != target)


def leave_a_part(server: FaultServer, target: Path, **options: Any) -> int:
    """Breaks a download off after a part; its size."""
    before, server.faults = server.faults, Faults(**{**vars(server.faults), "cut_after": 300_000})
    with pytest.raises(DownloadError):
        get(server, target, downloader={"retries": 0}, **options)
    server.faults = before
    server.seen.clear()
    return target.with_name(f"{target.name}.part").stat().st_size
