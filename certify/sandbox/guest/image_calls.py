"""Calls the plugin with an init image or from a thread, and returns all images."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from . import answers

MAX_IMAGES = 8  # in one reply


def make_images(
    loop: asyncio.AbstractEventLoop,
    call: Callable[[dict[str, Any]], Awaitable[Any]],
    header: dict[str, Any],
    start: bytes,
) -> tuple[dict[str, Any], bytes]:
    """Makes one `call`; returns the first `MAX_IMAGES` images. Raises what the plugin raises."""
    parameters = dict(header["request"])
    if start:
        parameters["init_image"] = _image(start, header["start"])
    started = time.perf_counter()
    if header["thread"]:
        result = _from_a_thread(loop, call, parameters)
    else:
        result = loop.run_until_complete(call(parameters))
    inside = time.perf_counter() - started
    try:
        described = [answers.describe_result(item) for item in _each(result)[:MAX_IMAGES]]
    except Exception as error:
        return {"no_picture": answers.plain(f"{type(result).__name__}: {error}", 300)}, b""
    bodies, payloads = zip(*described, strict=True)
    return {"pictures": list(bodies), "inside_seconds": inside}, b"".join(payloads)


def _image(data: bytes, size: Sequence[int]) -> Any:
    from PIL import Image

    width, height = size
    return Image.fromarray(np.frombuffer(data, np.uint8).reshape(height, width, 3).copy(), "RGB")


def _from_a_thread(
    loop: asyncio.AbstractEventLoop,
    call: Callable[[dict[str, Any]], Awaitable[Any]],
    parameters: dict[str, Any],
) -> Any:
    """The plugin's event loop keeps running, as in a program that serves requests from threads."""

    async def called() -> Any:
        return await call(parameters)

    with ThreadPoolExecutor(1) as pool:
        return loop.run_until_complete(loop.run_in_executor(pool, lambda: asyncio.run(called())))


def _each(result: Any) -> list[Any]:
    """The results for each image: the SDK's results have `each`, others may have more `images`."""
    each = getattr(result, "each", None)
    if isinstance(each, (list, tuple)) and each:
        return list(each)
    images = getattr(result, "images", None)
    return [result, *images[1:]] if isinstance(images, (list, tuple)) else [result]
