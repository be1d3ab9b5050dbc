"""Threads: what is not thread-safe says so, and the pool that is."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest

from reference_engine import SDK, ConcurrentUse, InvalidParameter, InvalidPrompt, ModelNotLoaded, SDKError
from reference_engine.plugin import Plugin
from reference_engine.preprocess import PreprocessPipeline, Request

SMALL: dict[str, Any] = {"steps": 5, "width": 64, "height": 64}
STATEFUL = {"device": "cpu", "sampler_config": {"algorithm": "DPM++ 2M Karras"}}
"""A sampler that remembers the last step: mixed up between threads, its images would be wrong."""


class Slow:
    """A stage that waits to be let go."""

    name = "slow"

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, request: Request) -> Request:
        self.entered.set()
        assert self.go.wait(10)
        return request


def test_a_second_thread_in_a_pipeline_is_an_error_and_the_first_goes_on() -> None:
    """A9"""
    slow = Slow()
    pipeline = PreprocessPipeline([slow])
    answers: list[Request] = []
    thread = threading.Thread(target=lambda: answers.append(pipeline.run(Request("first"))))
    thread.start()
    assert slow.entered.wait(10)
    with pytest.raises(ConcurrentUse, match="another thread") as caught:
        pipeline.run(Request("second"))
    assert caught.value.code == "ERR_CONCURRENT_USE"
    assert any("create_pool" in remedy for remedy in caught.value.remedies)
    slow.go.set()
    thread.join()
    assert answers == [Request("first")]
    assert pipeline.run(Request("third")).prompt == "third"


def test_a_pipeline_is_free_again_after_a_stage_failed() -> None:
    """A9"""

    def broken(request: Request) -> Request:
        raise ZeroDivisionError

    broken.name = "broken"  # type: ignore[attr-defined]
    pipeline = PreprocessPipeline([broken])  # type: ignore[list-item]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            pipeline.run(Request(""))


def tasks(count: int) -> list[dict[str, Any]]:
    """Tasks that differ in everything a thread could mix up: prompt, negative prompt, seed and size."""
    return [
        {
            "prompt": f"picture number {number % 7}",
            "negative_prompt": "fog" * (number % 3),
            "seed": number,
            **SMALL,
            "height": 64 + 8 * (number % 2),
        }
        for number in range(count)
    ]


def wrong_in_pool(count: int, serial: Any) -> int:
    with SDK.create_pool(STATEFUL, threads=4) as pool:
        futures = [pool.submit(**task) for task in tasks(count)]
        return sum(
            future.result().image.tobytes() != serial(task)
            for future, task in zip(futures, tasks(count), strict=True)
        )


def serial(make: Any) -> Any:
    on = SDK.create_plugin(STATEFUL)
    return lambda task: make(on=on, **task).image.tobytes()


def test_four_threads_make_bit_for_bit_what_one_makes(make: Any) -> None:
    """A9"""
    assert wrong_in_pool(16, serial(make)) == 0


@pytest.mark.slow
def test_four_threads_make_a_hundred_images_without_a_wrong_one(make: Any) -> None:
    """A9"""
    assert wrong_in_pool(100, serial(make)) == 0


def test_the_threads_share_the_weights_and_nothing_else() -> None:
    """A9, C4"""
    plugins: list[Plugin] = []
    barrier = threading.Barrier(2, timeout=60)
    together = Slow()
    together.go.set()

    def setup(plugin: Plugin) -> None:
        plugins.append(plugin)
        barrier.wait()  # so that both threads have one

    with SDK.create_pool({"device": "cpu"}, threads=2, setup=setup) as pool:
        futures = [pool.submit("a cat", seed=seed, **SMALL) for seed in range(6)]
        assert all(future.result() for future in futures)
        one, two = plugins  # six tasks, and still two workers
        assert one.pipeline is not two.pipeline
        assert one._load_locked().unet is two._load_locked().unet


def test_workers_that_do_not_persist_start_anew_and_keep_nothing() -> None:
    """C4"""
    plugins: list[Plugin] = []
    with SDK.create_pool(
        {"device": "cpu"}, threads=1, persistent_workers=False, setup=plugins.append
    ) as pool:
        first, second = (pool.submit("a cat", seed=1, **SMALL).result() for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert len(plugins) == 2
    assert all(plugin._model is None for plugin in plugins)


def test_a_plugin_without_persistence_lets_its_model_go_between_images(make: Any) -> None:
    """C4"""
    kept = SDK.create_plugin({"device": "cpu"})
    brief = SDK.create_plugin({"device": "cpu", "persistent_workers": False})
    assert make(on=kept).image.tobytes() == make(on=brief).image.tobytes()
    assert kept._model is not None
    assert brief._model is None


def test_a_closed_pool_lets_the_model_go_and_takes_no_more() -> None:
    plugins: list[Plugin] = []
    with SDK.create_pool({"device": "cpu"}, threads=1, setup=plugins.append) as pool:
        assert pool.submit("a cat", seed=1, **SMALL).result().seed == 1
        assert plugins[0]._model is not None
    assert plugins[0]._model is None
    with pytest.raises(SDKError, match="ERR_CLOSED"):
        pool.submit("a cat", seed=1, **SMALL)


def test_setup_reaches_every_thread(make: Any) -> None:
    def setup(plugin: Plugin) -> None:
        plugin.postprocess.append(lambda image: image.rotate(180))

    with SDK.create_pool({"device": "cpu"}, threads=2, setup=setup) as pool:
        images = {pool.submit("a cat on a mat", seed=1, **SMALL).result().image.tobytes() for _ in range(4)}
    assert len(images) == 1
    assert images != {make().image.tobytes()}


def test_an_error_in_one_task_reaches_its_future_alone() -> None:
    """B6"""
    with SDK.create_pool({"device": "cpu"}, threads=2) as pool:
        futures = [pool.submit(prompt, seed=1, **SMALL) for prompt in ("a cat", "child porn", "a dog")]
        with pytest.raises(InvalidPrompt):
            futures[1].result()
        assert futures[0].result().seed == futures[2].result().seed == 1


def test_closing_with_cancel_drops_what_waits_and_stops_what_runs() -> None:
    pool = SDK.create_pool({"device": "cpu"}, threads=1)
    begun = threading.Event()
    running = pool.submit("a cat", steps=50, width=512, height=512, progress=lambda *_: begun.set())
    waiting = pool.submit("a dog", **SMALL)
    assert begun.wait(60)
    pool.close(cancel=True)
    with pytest.raises(SDKError, match="ERR_CANCELLED"):
        running.result(0)
    with pytest.raises(CancelledError):
        waiting.result(0)


@pytest.mark.parametrize("threads", [0, 65, True, 2.0, "4"])
def test_a_number_of_threads_out_of_range_is_refused(threads: Any) -> None:
    with pytest.raises(InvalidParameter, match="from 1 to 64"):
        SDK.create_pool({"device": "cpu"}, threads=threads)


def test_a_wrong_model_is_told_when_the_pool_is_made() -> None:
    """A2"""
    with pytest.raises(ModelNotLoaded):
        SDK.create_pool({"model": "/nowhere/at/all"})
