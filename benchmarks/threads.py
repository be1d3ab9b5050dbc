"""Threads, warm workers and the event loop.

    python -m benchmarks.threads

On the tiny v1.5 model, 64 x 64 pixels, 5 steps, a sampler that keeps state. Prints how many of 100 images
by four threads differ from those of one, the time of both, what a warm worker saves against one that starts
anew, and the longest time an event loop was held up while an image was made.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from typing import Any

from reference_engine import SDK

CONFIG = {"device": "cpu", "sampler_config": {"algorithm": "DPM++ 2M Karras"}}
TASKS: list[dict[str, Any]] = [
    {"prompt": f"picture {seed % 7}", "seed": seed, "steps": 5, "width": 64, "height": 64 + 8 * (seed % 2)}
    for seed in range(100)
]
ROUNDS = 7
"""Of warm and new workers, in turns."""


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    print(f"first image of the process, imports and loading included: {first_image():.2f} s")
    wrong, serial, pooled = hundred_tasks()
    print(f"4 threads, {len(TASKS)} tasks, {CONFIG['sampler_config']}: {wrong} wrong (goal 0)")
    print(f"time, 4 threads / 1 thread: {pooled / serial:.2f} ({pooled:.1f} s / {serial:.1f} s)")
    pairs = [(task_after_first(persistent=True), task_after_first(persistent=False)) for _ in range(ROUNDS)]
    warm, cold = (statistics.median(arm) for arm in zip(*pairs, strict=True))
    print(
        f"the next task by a persistent worker / by a new one: {warm / cold:.2f} "
        f"({warm:.2f} s / {cold:.2f} s, medians of {ROUNDS})"
    )
    beats, pause = asyncio.run(longest_pause())
    print(f"event loop: {beats} ticks of 2 ms while 40 steps ran, longest pause {pause * 1000:.0f} ms")


def first_image() -> float:
    plugin, started = SDK.create_plugin(CONFIG), time.perf_counter()
    asyncio.run(plugin.generate_image(**TASKS[0]))
    plugin.close()
    return time.perf_counter() - started


def hundred_tasks() -> tuple[int, float, float]:
    """How many differ, and the seconds that one thread and four took."""
    started = time.perf_counter()
    with SDK.create_pool(CONFIG, threads=1) as pool:
        one = [future.result().image.tobytes() for future in [pool.submit(**task) for task in TASKS]]
    serial = time.perf_counter() - started
    started = time.perf_counter()
    with SDK.create_pool(CONFIG, threads=4) as pool:
        four = [future.result().image.tobytes() for future in [pool.submit(**task) for task in TASKS]]
    pooled = time.perf_counter() - started
    return sum(ours != theirs for ours, theirs in zip(four, one, strict=True)), serial, pooled


def task_after_first(*, persistent: bool) -> float:
    """Seconds of a pool's second task."""
    with SDK.create_pool(CONFIG, threads=1, persistent_workers=persistent) as pool:
        pool.submit(**TASKS[0]).result()
        started = time.perf_counter()
        pool.submit(**TASKS[1]).result()
        return time.perf_counter() - started


async def longest_pause() -> tuple[int, float]:
    plugin = SDK.create_plugin(CONFIG)
    await plugin.load()
    task = asyncio.ensure_future(plugin.generate_image(**{**TASKS[0], "steps": 40}))
    beats, worst, last = 0, 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.002)
        now = time.perf_counter()
        beats, worst, last = beats + 1, max(worst, now - last), now
    task.result()
    return beats, worst


if __name__ == "__main__":
    main()
