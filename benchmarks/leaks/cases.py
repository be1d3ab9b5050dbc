"""Labelled cases: functions that leak and functions that do not. Standard library and numpy alone.

Each factory gives a function that is called thousands of times; what it captures lives as long as it does.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import json
import logging
import logging.handlers
import math
import mmap
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np

Call = Callable[[], object]


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    return libc


# ----- leaks


def keeps_a_dict() -> Call:
    kept: list[dict[str, int]] = []
    return lambda: kept.append({"a": len(kept)})


def keeps_64_bytes() -> Call:
    kept: list[bytes] = []
    return lambda: kept.append(os.urandom(31))


def native_malloc_of_64_bytes() -> Call:
    libc = _libc()
    return lambda: ctypes.memset(libc.malloc(64), 1, 64)


def native_malloc_of_1_kib() -> Call:
    libc = _libc()
    return lambda: ctypes.memset(libc.malloc(1024), 1, 1024)


def keeps_an_array() -> Call:
    kept: list[object] = []
    return lambda: kept.append(np.ones(512, np.float32))


def leaks_a_descriptor() -> Call:
    return lambda: os.open(os.devnull, os.O_RDONLY) if next(_EVERY_10) % 10 == 0 else None


def leaks_a_descriptor_every_50th_call() -> Call:
    numbers = itertools.count()
    return lambda: os.open(os.devnull, os.O_RDONLY) if next(numbers) % 50 == 0 else None


def leaves_a_thread_every_20th_call() -> Call:
    numbers, forever = itertools.count(), threading.Event()

    def call() -> None:
        if next(numbers) % 20 == 0:
            threading.Thread(target=forever.wait, daemon=True).start()

    return call


def leaves_asyncio_tasks() -> Call:
    loop = asyncio.new_event_loop()
    kept: list[object] = []

    async def once() -> None:
        kept.append(asyncio.ensure_future(asyncio.sleep(1e6)))
        await asyncio.sleep(0)

    return lambda: loop.run_until_complete(once())


def leaves_zombies() -> Call:
    numbers = itertools.count()
    kept: list[object] = []

    def call() -> None:
        if next(numbers) % 100 == 0:
            kept.append(subprocess.Popen(["/bin/true"]))

    return call


def leaves_temporary_files() -> Call:
    numbers = itertools.count()

    def call() -> None:
        if next(numbers) % 20 == 0:
            descriptor, _ = tempfile.mkstemp()
            os.close(descriptor)

    return call


def grows_a_log_without_rotation() -> Call:
    def call() -> None:
        with (Path(tempfile.gettempdir()) / "log").open("a") as log:
            log.write("x" * 2000)

    return call


def leaks_shared_mappings() -> Call:
    kept: list[mmap.mmap] = []

    def call() -> None:
        kept.append(mmap.mmap(-1, 4096))
        kept[-1].write(b"x" * 4096)

    return call


def leaks_untouched_mappings() -> Call:
    kept: list[mmap.mmap] = []
    return lambda: kept.append(mmap.mmap(-1, 1 << 16))


def leaks_on_the_error_path() -> Call:
    numbers = itertools.count()
    kept: list[bytes] = []

    def call() -> None:
        if next(numbers) % 20 == 0:
            kept.append(os.urandom(4000))
            raise ValueError("refused")

    return call


def leaks_every_100th_call() -> Call:
    numbers = itertools.count()
    kept: list[bytes] = []
    return lambda: kept.append(os.urandom(16_000)) if next(numbers) % 100 == 0 else None


def cycles_with_the_collector_off() -> Call:
    def call() -> None:
        one: list[object] = [bytes(200)]
        one.append(one)
        gc.disable()

    return call


def caches_without_bound() -> Call:
    numbers = itertools.count()
    cached = lru_cache(maxsize=None)(lambda number: str(number) * 20)
    return lambda: cached(next(numbers))


def feeds_a_helper_process() -> Call:
    code = "import sys\nkept = []\nfor line in sys.stdin: kept.append(bytes(500))"
    helper: list[subprocess.Popen[bytes]] = []

    def call() -> None:
        if not helper:
            helper.append(subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE))
        pipe = helper[0].stdin
        assert pipe is not None
        pipe.write(b"x\n")
        pipe.flush()

    return call


def grows_by_a_slow_root() -> Call:
    numbers = itertools.count(1)
    kept: list[bytes] = []

    def call() -> None:
        number = next(numbers)
        wanted = int(800 * math.sqrt(number) * 10) - len(kept) * 500
        kept.extend(os.urandom(460) for _ in range(max(0, wanted // 500)))

    return call


def adds_log_handlers() -> Call:
    logger = logging.getLogger("leaky")
    return lambda: logger.addHandler(logging.NullHandler())


def callbacks_that_are_never_removed() -> Call:
    listeners: list[Callable[[], None]] = []

    def call() -> None:
        data = os.urandom(100)
        listeners.append(lambda: print(data))

    return call


_EVERY_10 = itertools.count()


# ----- no leaks


def does_nothing() -> Call:
    return lambda: None


def fills_a_small_cache() -> Call:
    numbers = itertools.count()
    cached = lru_cache(maxsize=200)(lambda number: os.urandom(2000))
    return lambda: cached(next(numbers))


def fills_a_deque() -> Call:
    kept: deque[bytes] = deque(maxlen=500)
    return lambda: kept.append(os.urandom(1000))


def evicts_from_an_ordered_dict() -> Call:
    numbers = itertools.count()
    kept: OrderedDict[int, bytes] = OrderedDict()

    def call() -> None:
        kept[next(numbers)] = os.urandom(3000)
        if len(kept) > 300:
            kept.popitem(last=False)

    return call


def warms_up_once() -> Call:
    state: list[bytes] = []

    def call() -> None:
        if not state:
            state.append(bytes(8 << 20))

    return call


def warms_up_by_and_by() -> Call:
    numbers = itertools.count()
    kept: list[bytes] = []
    return lambda: kept.append(bytes(20_000)) if next(numbers) < 400 else None


def is_a_sawtooth() -> Call:
    kept: list[bytes] = []

    def call() -> None:
        kept.append(os.urandom(2000))
        if len(kept) > 250:
            kept.clear()

    return call


def makes_cycles_for_the_collector() -> Call:
    def call() -> None:
        one: list[object] = [bytes(500)]
        one.append(one)

    return call


def fragments_the_heap() -> Call:
    kept: list[bytes] = [b""] * 300
    dice = random.Random(1)

    def call() -> None:
        kept[dice.randrange(300)] = bytes(dice.randrange(10, 20_000))

    return call


def flushes_a_buffer() -> Call:
    rows: list[str] = []

    def call() -> None:
        rows.append("x" * 300)
        if len(rows) >= 400:
            with (Path(tempfile.gettempdir()) / "flushed").open("w") as file:
                file.writelines(rows)
            rows.clear()

    return call


def uses_a_thread_pool() -> Call:
    pools: list[ThreadPoolExecutor] = []

    def call() -> None:
        if not pools:
            pools.append(ThreadPoolExecutor(8))
        pools[0].submit(bytes, 1000).result()

    return call


def opens_and_closes() -> Call:
    def call() -> None:
        with Path(os.devnull).open("rb") as file:
            file.read(1)

    return call


def holds_some_descriptors_for_a_while() -> Call:
    dice, held = random.Random(2), []

    def call() -> None:
        held.append(os.open(os.devnull, os.O_RDONLY))
        while len(held) > dice.randrange(1, 9):
            os.close(held.pop())

    return call


def rotates_its_log() -> Call:
    def call() -> None:
        log = Path(tempfile.gettempdir()) / "log"
        with log.open("a") as file:
            file.write("x" * 3000)
        if log.stat().st_size > 500_000:
            log.replace(log.with_suffix(".1"))

    return call


def deletes_its_temporary_files() -> Call:
    def call() -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 2000)

    return call


def waits_for_its_children() -> Call:
    numbers = itertools.count()
    return lambda: subprocess.run(["/bin/true"], check=True) if next(numbers) % 200 == 0 else None


def awaits_its_tasks() -> Call:
    loop = asyncio.new_event_loop()

    async def once() -> None:
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    return lambda: loop.run_until_complete(once())


def frees_what_it_allocates() -> Call:
    libc = _libc()
    return lambda: libc.free(libc.malloc(5000))


def unmaps_what_it_maps() -> Call:
    def call() -> None:
        with mmap.mmap(-1, 1 << 16) as mapped:
            mapped.write(b"x" * 5000)

    return call


def has_large_peaks() -> Call:
    dice = random.Random(3)
    return lambda: np.ones(dice.randrange(1_000, 200_000)).sum()


def keeps_weak_references() -> Call:
    seen: weakref.WeakValueDictionary[int, object] = weakref.WeakValueDictionary()
    numbers = itertools.count()

    class Thing:
        pass

    def call() -> None:
        thing = Thing()
        seen[next(numbers)] = thing

    return call


def imports_lazily() -> Call:
    names = ["decimal", "fractions", "statistics", "difflib", "sqlite3", "xml.dom.minidom", "zipfile"]
    numbers = itertools.count()

    def call() -> None:
        number = next(numbers)
        if number % 60 == 0 and number // 60 < len(names):
            __import__(names[number // 60])

    return call


def compiles_patterns() -> Call:
    numbers = itertools.count()
    return lambda: re.compile(f"a{next(numbers) % 700}b*")


def writes_and_reads_json() -> Call:
    dice = random.Random(4)
    return lambda: json.loads(json.dumps([dice.random() for _ in range(dice.randrange(500))]))


LEAKS = [
    keeps_a_dict,
    keeps_64_bytes,
    native_malloc_of_64_bytes,
    native_malloc_of_1_kib,
    keeps_an_array,
    leaks_a_descriptor,
    leaks_a_descriptor_every_50th_call,
    leaves_a_thread_every_20th_call,
    leaves_asyncio_tasks,
    leaves_zombies,
    leaves_temporary_files,
    grows_a_log_without_rotation,
    leaks_shared_mappings,
    leaks_untouched_mappings,
    leaks_on_the_error_path,
    leaks_every_100th_call,
    cycles_with_the_collector_off,
    caches_without_bound,
    feeds_a_helper_process,
    grows_by_a_slow_root,
    adds_log_handlers,
    callbacks_that_are_never_removed,
]
CLEAN = [
    does_nothing,
    fills_a_small_cache,
    fills_a_deque,
    evicts_from_an_ordered_dict,
    warms_up_once,
    warms_up_by_and_by,
    is_a_sawtooth,
    makes_cycles_for_the_collector,
    fragments_the_heap,
    flushes_a_buffer,
    uses_a_thread_pool,
    opens_and_closes,
    holds_some_descriptors_for_a_while,
    rotates_its_log,
    deletes_its_temporary_files,
    waits_for_its_children,
    awaits_its_tasks,
    frees_what_it_allocates,
    unmaps_what_it_maps,
    has_large_peaks,
    keeps_weak_references,
    imports_lazily,
    compiles_patterns,
    writes_and_reads_json,
]
ALL = {case.__name__: case for case in [*LEAKS, *CLEAN]}
