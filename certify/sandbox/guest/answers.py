"""Describes what a plugin returned: a header of plain values, and raw bytes."""

from __future__ import annotations

import inspect
import io
import math
from typing import Any

import numpy as np


def plain(text: str, limit: int) -> str:
    """Text that can be encoded: lone surrogates are replaced, and it is cut at `limit` characters."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:limit]


def describe_signature(plugin: Any) -> dict[str, Any]:
    """The declaration of `generate_image`: whether it is asynchronous, its parameters and their defaults."""
    method = getattr(plugin, "generate_image", None)
    if not callable(method):
        return {"callable": False, "asynchronous": False, "parameters": []}
    try:
        parameters = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    return {
        "callable": True,
        # A decorator such as torch.inference_mode() returns the coroutine of the wrapped function.
        "asynchronous": inspect.iscoroutinefunction(inspect.unwrap(method)),
        "parameters": [_describe_parameter(parameter) for parameter in parameters[:50]],
    }


def _describe_parameter(parameter: inspect.Parameter) -> dict[str, Any]:
    has_default = parameter.default is not inspect.Parameter.empty
    return {
        "name": parameter.name[:100],
        "kind": parameter.kind.name.lower(),
        "has_default": has_default,
        "default": _describe_default(parameter.default) if has_default else None,
    }


def _describe_default(default: Any) -> str | int | float | bool:
    """The default value where JSON can represent it (no infinity, bounded integers), else its repr."""
    if isinstance(default, str):
        return plain(default, 1000)
    if isinstance(default, float) and math.isfinite(default):
        return default
    if isinstance(default, int) and abs(default) < 1 << 63:
        return default
    return plain(repr(default), 100)


def describe_result(result: Any) -> tuple[dict[str, Any], bytes]:
    """The header, and as payload the pixels as RGB bytes and then the PNG that the user would get.

    Raises TypeError or AttributeError where `result` contains no image.
    """
    image = getattr(result, "image", result)
    pixels = np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))
    png = _png_of(result, image)
    height, width = pixels.shape[:2]
    body = {
        "width": width,
        "height": height,
        "pixel_bytes": pixels.nbytes,
        "png_bytes": len(png),
        "result": _facts_of(result),
    }
    return body, pixels.tobytes() + png


def _png_of(result: Any, image: Any) -> bytes:
    if callable(getattr(result, "png", None)):
        return bytes(result.png())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _facts_of(result: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, kind in (("prompt", str), ("negative_prompt", str), ("seed", int), ("truncated", bool)):
        value = getattr(result, name, None)
        if isinstance(value, kind):
            facts[name] = plain(value, 100_000) if isinstance(value, str) else value
    return facts
