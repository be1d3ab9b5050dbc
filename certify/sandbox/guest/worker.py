"""The worker: loads one candidate and answers requests over two pipes. Nothing that it says is believed.

Requests carry a nonce that the answer repeats. Answers are `{"nonce", "ok": true, ...}` with a payload, or
`{"nonce", "ok": false, "error": {...}}`. What the watch sees goes out on a pipe of its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import importlib
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..heap import heap_counter
from ..protocol import Frame, pack, read_frame, write_all
from . import answers
from .tracing import Tracing, start_tracing
from .watch import Watch

MAX_TEXT = 4000
# From glibc's malloc.h.
M_MMAP_THRESHOLD = -3


def serve(requests: int, answers_to: int, events: int) -> None:
    """Answers frames until the stream ends or `bye` comes."""
    faulthandler.enable(file=2)
    _reseed()
    worker = Worker(events, partial(_ask_judge, requests, answers_to))
    while (frame := read_frame(requests)) is not None:
        if frame.header["op"] == "bye":
            return
        header, payload = worker.answer(frame)
        write_all(answers_to, pack(header, payload))


def run(requests: int, answers_to: int, events: int) -> NoReturn:
    """Serves, and ends this process as the plugin would have: nothing registered for the exit is run."""
    code = 0
    try:
        serve(requests, answers_to, events)
    except SystemExit as leaving:
        traceback.print_exc()
        code = leaving.code if isinstance(leaving.code, int) else 1 if leaving.code else 0
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def _ask_judge(requests: int, answers_to: int, header: dict[str, Any], payload: bytes) -> Frame:
    """A question in the middle of a request, and the judge's answer."""
    write_all(answers_to, pack(header, payload))
    frame = read_frame(requests)
    if frame is None:
        raise EOFError("the judge is gone")
    return frame


def _reseed() -> None:
    """Forks of one nursery would otherwise share their random state."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()


class Worker:
    def __init__(self, events: int, ask_judge: Callable[[dict[str, Any], bytes], Frame]) -> None:
        self._events = events
        self._ask_judge = ask_judge
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.plugin: Any = None
        self._open: Callable[[], Any]
        self._root = ""
        self._tracing: Tracing | None = None
        self._heap = heap_counter()

    def answer(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        header = frame.header
        operation: Callable[..., tuple[dict[str, Any], bytes]] = getattr(self, "on_" + header["op"])
        deadline = float(header.get("deadline", 0))
        if deadline > 1:
            faulthandler.dump_traceback_later(deadline * 0.9, exit=False, file=2)
        try:
            body, payload = operation(header, frame.payload) if frame.payload else operation(header)
            outcome: dict[str, Any] = {"ok": True, **body}
        except (Exception, asyncio.CancelledError) as error:
            outcome, payload = {"ok": False, "error": describe_error(error)}, b""
        finally:
            faulthandler.cancel_dump_traceback_later()
        return {"nonce": header["nonce"], **outcome}, payload

    def on_prepare(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Builds the tiny models before any candidate is near; answers their folders."""
        from reference_engine.models.tiny import tiny_model
        from reference_engine.render.dryrun import keep_allocations

        models = {name: tiny_model(name) for name in header["model_types"]}
        for folder in models.values():
            # Each worker would trace them anew, for some seconds.
            keep_allocations(Path(folder))
        return {"models": {name: str(folder) for name, folder in models.items()}}, b""

    def on_probe(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        from .probe import run_probe

        return {"acts": run_probe(header)}, b""

    def on_crowd(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        from .probe import crowd

        return {"processes": crowd(header["processes"])}, b""

    def on_hoard(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        from .probe import hoard

        return {"bytes": hoard(header["bytes"])}, b""

    def on_install(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """pip, for a candidate's dependencies: source packages among them run their build here."""
        command = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", header["source"]]
        command += ["--no-build-isolation", "--no-compile", "--target", "packages", *header["needed"]]
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        return {
            "code": ran.returncode,
            "output": answers.plain(ran.stdout[-4000:] + ran.stderr[-8000:], 12000),
        }, b""

    def on_load(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        sys.dont_write_bytecode = True
        if header.get("instant"):
            from reference_engine.render.instant import work_instantly

            work_instantly()
        Watch(header["allowed"], self._events)
        adapter = importlib.import_module(f".adapters.{header['kind'].replace('-', '_')}", __package__)
        if header.get("packages"):
            # Behind the engine's own: what the host has goes first.
            sys.path.append(header["packages"])
        self._open = partial(adapter.open_plugin, header["root"], header["entry"], header["config"])
        self._root = header["root"]
        self.plugin = self._open()
        return {"signature": answers.describe_signature(self.plugin)}, b""

    def on_generate(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        parameters = dict(header["request"])
        started = time.perf_counter()
        result = self.loop.run_until_complete(_call(self.plugin, parameters))
        inside = time.perf_counter() - started
        try:
            body, payload = answers.describe_result(result)
        except Exception as error:
            return {"no_picture": answers.plain(f"{type(result).__name__}: {error}", 300)}, b""
        return {**body, "inside_seconds": inside}, payload

    def on_pictures(self, header: dict[str, Any], start: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """A call with a picture to start from, for several, or from a thread."""
        from .image_calls import make_pictures

        return make_pictures(self.loop, partial(_call, self.plugin), header, start)

    def on_together(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Several calls at once; how many of them raised."""
        calls = (_call(self.plugin, dict(request)) for request in header["requests"])
        results = self.loop.run_until_complete(_gathered(list(calls)))
        return {"errors": sum(isinstance(result, BaseException) for result in results)}, b""

    def on_cancelled(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A call that is given up after some seconds; whether it had not ended by then."""
        call = _cancelled(_call(self.plugin, dict(header["request"])), float(header["after"]))
        return {"cancelled": self.loop.run_until_complete(call)}, b""

    def on_reload(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Opens the plugin once more beside the one that is there, calls it, closes it and lets it go."""
        again = self._open()
        self.loop.run_until_complete(_call(again, dict(header["request"])))
        close = getattr(again, "close", None)
        if callable(close):
            close()
        return {}, b""

    def on_sample(self, header: dict[str, Any], noise: bytes) -> tuple[dict[str, Any], bytes]:
        from .sampler_calls import run_sampler

        def ask(turn: int, question: dict[str, Any], payload: bytes) -> bytes:
            return self._ask_judge({"nonce": header["nonce"], "turn": turn, **question}, payload).payload

        return run_sampler(header["request"], noise, ask)

    def on_quiesce(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Collects and trims, so that what is left is held on purpose or leaked.

        A plugin that switched the collector off is left as it is: collecting for it would hide its leak.
        """
        if gc.isenabled():
            gc.collect()
        trimmed = _malloc_trim()
        return {
            "collector": gc.isenabled(),
            "trimmed": trimmed,
            "blocks": sys.getallocatedblocks(),
            "heap": self._heap(),
            "tasks": len(asyncio.all_tasks(self.loop)),
            "cuda": _cuda_bytes(),
        }, b""

    def on_trace(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Starts tracing allocations; asked again, ends it and tells where what is held is from."""
        if self._tracing is None:
            self._tracing = start_tracing(Path.cwd(), self._root)
            return {"sites": []}, b""
        sites, self._tracing = self._tracing.stop(), None
        return {"sites": [{**site, "place": answers.plain(site["place"], 300)} for site in sites]}, b""

    def on_freeze(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """After warm-up: what lives now is left out of later collections, which makes them cheap.

        glibc moves its threshold for mapped blocks as it goes, which makes memory jump; it is held still.
        """
        gc.collect()
        gc.freeze()
        return {"held": _hold_mmap_threshold()}, b""


async def _gathered(calls: list[Any]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def _cancelled(call: Any, after: float) -> bool:
    task = asyncio.ensure_future(call)
    await asyncio.wait([task], timeout=after)
    cancelled: bool = task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return cancelled


async def _call(plugin: Any, parameters: dict[str, Any]) -> Any:
    return await plugin.generate_image(parameters.pop("prompt"), **parameters)


def _hold_mmap_threshold() -> bool:
    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 << 10))
    except (OSError, AttributeError, TypeError):
        return False


def _cuda_bytes() -> int:
    """Bytes that torch's allocator has given out on the GPU; 0 where none was used."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    torch.cuda.synchronize()
    return int(torch.cuda.memory_allocated())


def _malloc_trim() -> bool:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return False
    return True


def describe_error(error: BaseException) -> dict[str, Any]:
    remedies = getattr(error, "remedies", ())
    return {
        "type": type(error).__name__[:200],
        "code": str(getattr(error, "code", "") or "")[:100],
        "message": answers.plain(str(error), 2000),
        "remedies": [answers.plain(str(remedy), 500) for remedy in list(remedies)[:10]],
        "traceback": answers.plain("".join(traceback.format_exception(error))[-MAX_TEXT:], MAX_TEXT),
    }
