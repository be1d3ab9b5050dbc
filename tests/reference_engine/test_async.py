"""The asynchronous face: it waits without blocking, stops when nobody waits, and tells how far it is."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from reference_engine import SDK, InvalidParameter, InvalidPrompt, SDKError, TimedOut
from reference_engine.plugin import Plugin

SMALL: dict[str, Any] = {"steps": 5, "width": 64, "height": 64, "seed": 1}
LONG: dict[str, Any] = {"steps": 50, "width": 512, "height": 512, "seed": 1}


def test_the_event_loop_ticks_on_while_an_image_is_made(plugin: Plugin) -> None:
    """B5"""

    async def longest_pause() -> tuple[int, float]:
        await plugin.load()
        task = asyncio.ensure_future(plugin.generate_image("a lake", **{**SMALL, "steps": 40}))
        beats, worst, last = 0, 0.0, time.perf_counter()
        while not task.done():
            await asyncio.sleep(0.002)
            now = time.perf_counter()
            beats, worst, last = beats + 1, max(worst, now - last), now
        assert task.result().image
        return beats, worst

    beats, worst = asyncio.run(longest_pause())
    assert beats >= 10
    assert worst < 1


def test_progress_is_told_step_by_step_in_the_thread_of_the_loop(plugin: Plugin) -> None:
    """B5"""
    told: list[tuple[int, int, int]] = []

    async def make() -> None:
        await plugin.generate_image(
            "a lake", **SMALL, progress=lambda done, total: told.append((done, total, threading.get_ident()))
        )

    asyncio.run(make())
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]
    assert {(total, thread) for _, total, thread in told} == {(5, threading.get_ident())}


def test_a_cancelled_call_stops_before_its_next_step(plugin: Plugin) -> None:
    """B5"""
    told: list[int] = []
    noted = plugin.postprocess

    async def cancel() -> tuple[float, int]:
        task = asyncio.ensure_future(
            plugin.generate_image("a lake", **LONG, progress=lambda done, total: told.append(done))
        )
        while not told:
            await asyncio.sleep(0.001)
        task.cancel()
        started, at = time.perf_counter(), len(told)
        with pytest.raises(asyncio.CancelledError):
            await task
        at_once = time.perf_counter() - started
        await asyncio.to_thread(plugin._lock.acquire)  # until the worker is free again
        plugin._lock.release()
        assert len(told) == at  # nothing is told to a caller who is gone
        return at_once, len(told)

    assert noted == []
    at_once, steps = asyncio.run(cancel())
    assert at_once < 0.2
    assert steps < 10


def test_a_cancelled_call_that_waits_never_begins(plugin: Plugin) -> None:
    begun: list[str] = []

    def note(request: Any) -> Any:
        begun.append(request.prompt)
        return request

    note.name = "note"  # type: ignore[attr-defined]
    own = SDK.create_plugin({"device": "cpu"})
    own.pipeline.insert(note, before="parameters")  # type: ignore[arg-type]

    async def queue() -> None:
        first = asyncio.ensure_future(own.generate_image("first", **{**SMALL, "steps": 30}))
        second = asyncio.ensure_future(own.generate_image("second", **SMALL))
        await asyncio.sleep(0.01)
        second.cancel()
        await first
        await own.generate_image("third", **SMALL)

    asyncio.run(queue())
    assert begun == ["first", "third"]


def test_a_call_out_of_time_raises_and_the_plugin_goes_on(plugin: Plugin, make: Any) -> None:
    """B5"""
    expected = make().image.tobytes()

    async def hurry() -> float:
        started = time.perf_counter()
        with pytest.raises(TimedOut, match=r"after 0\.2 seconds") as caught:
            await plugin.generate_image("a lake", **LONG, timeout=0.2)
        assert caught.value.code == "ERR_TIMEOUT"
        return time.perf_counter() - started

    assert 0.2 <= asyncio.run(hurry()) < 1
    assert make(timeout=60).image.tobytes() == expected


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "5"])
def test_a_timeout_that_is_no_time_is_refused(make: Any, timeout: Any) -> None:
    with pytest.raises(InvalidParameter, match="timeout"):
        make(timeout=timeout)


def test_many_calls_at_once_give_each_its_own_image(plugin: Plugin, make: Any) -> None:
    """B5"""

    async def all_at_once() -> list[Any]:
        calls = (plugin.generate_image(f"cat {seed}", **{**SMALL, "seed": seed}) for seed in range(4))
        return [result.image.tobytes() for result in await asyncio.gather(*calls)]

    assert asyncio.run(all_at_once()) == [make(f"cat {seed}", seed=seed).image.tobytes() for seed in range(4)]


def test_a_pool_makes_several_at_a_time_for_one_loop(make: Any) -> None:
    """A9, B5"""
    together = threading.Barrier(2, timeout=60)

    def meet(request: Any) -> Any:
        together.wait()  # passes only if two threads are here at a time
        return request

    meet.name = "meet"  # type: ignore[attr-defined]

    async def both() -> list[Any]:
        with SDK.create_pool(
            {"device": "cpu"},
            threads=2,
            setup=lambda plugin: plugin.pipeline.insert(meet, before="parameters"),  # type: ignore[arg-type]
        ) as pool:
            calls = (pool.generate_image("a cat on a mat", **SMALL, timeout=120) for _ in range(2))
            return list(await asyncio.gather(*calls))

    expected = make().image.tobytes()
    assert [result.image.tobytes() for result in asyncio.run(both())] == [expected, expected]


def test_an_error_comes_out_of_the_call_as_it_is(plugin: Plugin) -> None:
    """B6"""
    with pytest.raises(InvalidPrompt):
        asyncio.run(plugin.generate_image("child porn", **SMALL))


def test_a_closed_plugin_lets_its_model_go(make: Any) -> None:
    own = SDK.create_plugin({"device": "cpu"})
    make(on=own)
    own.close()
    assert own._model is None
    with pytest.raises(SDKError, match="ERR_CLOSED"):
        make(on=own)
