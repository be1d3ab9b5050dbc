"""A3: the bandwidth limit is kept to, by one download and by many together."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_engine.models.download import HTTPDownloader
from reference_engine.models.download_limit import TokenBucket
from tests.reference_engine.fault_server import FaultServer


class Clock:
    """A clock that only sleeping (which always takes a bit longer) and waiting for the network move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 0.0003


@given(
    rate=st.integers(10_000, 10**9),
    reads=st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 0.015)), min_size=100, max_size=200),
)
def test_the_rate_is_never_exceeded_and_nearly_reached_where_the_network_is_faster(
    rate: int, reads: list[tuple[float, float]]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock=clock, sleep=clock.sleep)
    clock.now += 50.0  # as much credit as can be had, which `begin` takes away
    bucket.begin()
    started, spent = clock.now, 0
    for share, network in reads:
        count = max(1, int(bucket.chunk * share))
        clock.now += min(network, count / rate * 0.9)
        bucket.spend(count)
        spent += count
        assert spent <= rate * (clock.now - started) + 1
    assert spent >= rate * (clock.now - started) * 0.9 - bucket.chunk


def test_a_pause_of_the_machine_is_made_good_but_only_a_short_one() -> None:
    clock = Clock()
    bucket = TokenBucket(1000, clock=clock, sleep=clock.sleep)
    bucket.begin()
    clock.now += 10.0
    before = clock.now
    bucket.spend(250)
    assert clock.now == before
    bucket.spend(100)
    assert clock.now - before == pytest.approx(0.1, abs=0.01)


def test_a_download_takes_as_long_as_its_limit_says(tmp_path: Path) -> None:
    content = random.Random(5).randbytes(400_000)
    with FaultServer({"/file": content}).running() as server:
        downloader = HTTPDownloader(bandwidth_limit=500_000, proxies={})
        time.sleep(0.3)  # which is no credit
        started = time.monotonic()
        downloader.download(server.url(), tmp_path / "file")
        assert 0.78 <= time.monotonic() - started <= 1.6
    assert (tmp_path / "file").read_bytes() == content


def test_two_downloads_of_one_downloader_share_its_limit(tmp_path: Path) -> None:
    content = random.Random(6).randbytes(200_000)
    with FaultServer({"/file": content}).running() as server:
        downloader = HTTPDownloader(bandwidth_limit=500_000, proxies={})
        started = time.monotonic()
        both = [
            threading.Thread(target=downloader.download, args=(server.url(), tmp_path / name))
            for name in ("one", "two")
        ]
        for one in both:
            one.start()
        for one in both:
            one.join(10)
        assert 0.7 <= time.monotonic() - started <= 1.6
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == content


@pytest.mark.parametrize(
    "wrong", [{"bandwidth_limit": 0}, {"timeout": 0}, {"retries": -1}, {"backoff": -1}, {"longest_wait": -1}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HTTPDownloader(**wrong)  # type: ignore[arg-type]
