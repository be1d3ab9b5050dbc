"""A limit of CPU seconds over several pieces of work."""

from __future__ import annotations

import sys
import time

import pytest

from certify.run.stopwatch import OutOfTime, Stopwatch


def work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no interval timers")
def test_a_piece_of_work_is_interrupted_at_the_limit_whatever_it_catches() -> None:
    stopwatch = Stopwatch(0.05)
    started = time.process_time()
    with pytest.raises(OutOfTime, match="limit"), stopwatch.running():
        try:
            work(30)
        except Exception:
            work(30)
    assert time.process_time() - started < 5


def test_what_is_used_up_is_not_used_twice() -> None:
    stopwatch = Stopwatch(0.2)
    with stopwatch.running():
        work(0.01)
    assert 0.01 <= stopwatch.used < 0.2
    stopwatch.used = 0.2
    with pytest.raises(OutOfTime), stopwatch.running():
        pytest.fail("it began")


def test_without_a_limit_nothing_is_interrupted() -> None:
    stopwatch = Stopwatch()
    with stopwatch.running():
        work(0.01)
    assert stopwatch.used == 0
