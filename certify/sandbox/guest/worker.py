"""The worker: loads one candidate and answers requests over two pipes. The host trusts nothing that it sends.

Requests carry a nonce that the answer repeats. Answers are `{"nonce", "ok": true, ...}` with a payload, or
`{"nonce", "ok": false, "error": {...}}`. The events of the watch have a separate pipe.
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
    """Answers frames until the stream ends or a `bye` request arrives."""
    faulthandler.enable(file=2)
    _reseed()
    worker = Worker(events, partial(_ask_host, requests, answers_to))
    while (frame := read_frame(requests)) is not None:
        if frame.header["op"] == "bye":
            return
        header, payload = worker.answer(frame)
        write_all(answers_to, pack(header, payload))


def run(requests: int, answers_to: int, events: int) -> NoReturn:
    """Serves requests, then exits with the plugin's exit code; exit handlers are not run."""
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


def _ask_host(requests: int, answers_to: int, header: dict[str, Any], payload: bytes) -> Frame:
    """Sends a question to the host during a request; returns the answer."""
    write_all(answers_to, pack(header, payload))
    frame = read_frame(requests)
    if frame is None:
        raise EOFError("the host is gone")
    return frame


def _reseed() -> None:
    """Reseeds random sources, because forks of one nursery share their random state."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()


class Worker:
    def __init__(self, events: int, ask_host: Callable[[dict[str, Any], bytes], Frame]) -> None:
        self._events = events
        self._ask_host = ask_host
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
        """Builds the tiny models before any candidate is loaded; returns their folders."""
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
        """Installs a candidate's dependencies by pip; source packages are built here."""
        command = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", header["source"]]
        command += ["--no-build-isolation", "--no-compile", "--target", "packages", *header["needed"]]
        completed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        return {
            "code": completed.returncode,
            "output": answers.plain(completed.stdout[-4000:] + completed.stderr[-8000:], 12000),
        }, b""

    def on_load(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        sys.dont_write_bytecode = True
        if header.get("instant"):
            from reference_engine.render.instant import work_instantly

            work_instantly()
        Watch(header["allowed"], self._events)
        adapter = importlib.import_module(f".adapters.{header['kind'].replace('-', '_')}", __package__)
        if header.get("packages"):
            # After the engine's packages: installed packages have priority.
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
        """A call with an init image, for several images, or from a thread."""
        from .image_calls import make_images

        return make_images(self.loop, partial(_call, self.plugin), header, start)

    def on_together(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Makes several calls at once; returns how many raised."""
        calls = (_call(self.plugin, dict(request)) for request in header["requests"])
        results = self.loop.run_until_complete(_gathered(list(calls)))
        return {"errors": sum(isinstance(result, BaseException) for result in results)}, b""

    def on_cancelled(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Cancels a call after some seconds; returns whether it was still running."""
        call = _cancelled(_call(self.plugin, dict(header["request"])), float(header["after"]))
        return {"cancelled": self.loop.run_until_complete(call)}, b""

    def on_reload(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Opens the plugin a second time, calls it, closes and releases it."""
        again = self._open()
        self.loop.run_until_complete(_call(again, dict(header["request"])))
        close = getattr(again, "close", None)
        if callable(close):
            close()
        return {}, b""

    def on_sample(self, header: dict[str, Any], noise: bytes) -> tuple[dict[str, Any], bytes]:
        from .sampler_calls import run_sampler

        def ask(turn: int, question: dict[str, Any], payload: bytes) -> bytes:
            return self._ask_host({"nonce": header["nonce"], "turn": turn, **question}, payload).payload

        return run_sampler(header["request"], noise, ask)

    def on_quiesce(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Collects garbage and trims the heap, so that the rest is held on purpose or leaked.

        If the plugin switched the collector off, nothing is collected: that would hide its leak.
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
        """Starts tracing of allocations; the second request stops it and returns the places of held ones."""
        if self._tracing is None:
            self._tracing = start_tracing(Path.cwd(), self._root)
            return {"sites": []}, b""
        sites, self._tracing = self._tracing.stop(), None
        return {"sites": [{**site, "place": answers.plain(site["place"], 300)} for site in sites]}, b""

    def on_freeze(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """After warm-up: excludes the living objects from later collections, which makes them cheap.

        glibc adapts its threshold for mapped blocks, which makes memory jump; so the threshold is fixed.
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
    """Bytes allocated by torch on the GPU; 0 where the GPU is not used."""
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
