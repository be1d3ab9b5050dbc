"""The child's side of the frames, and its limits. Standard library alone: it runs before any other import."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from typing import Any

try:
    import resource
except ImportError:  # Windows has no such limits; the parent's clock is left.
    resource = None  # type: ignore[assignment]

MAX_MEMORY = 4 << 30
MAX_SECONDS = 120


def serve(answer: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> None:
    """Reads one frame, answers it, ends. A missing library and a refusal are answers as well."""
    _limit()
    source, out = sys.stdin.buffer, sys.stdout.buffer
    (length,) = struct.unpack(">I", source.read(4))
    header = json.loads(source.read(length))
    sys.path[:] = header.pop("path")
    try:
        told, payload = answer(header, source.read())
    except ImportError as error:
        told, payload = {"missing": str(error)}, b""
    except MemoryError:
        told, payload = {"refused": "it needs more memory than a picture should"}, b""
    except Exception as error:
        told, payload = {"refused": f"{type(error).__name__}: {error}"}, b""
    head = json.dumps(told).encode()
    out.write(struct.pack(">I", len(head)) + head + payload)
    out.flush()


def _limit() -> None:
    if resource is None:
        return
    for kind, most in ((resource.RLIMIT_AS, MAX_MEMORY), (resource.RLIMIT_CPU, MAX_SECONDS)):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def split(payload: bytes, lengths: list[int]) -> list[bytes]:
    """The parts of a payload that holds several."""
    parts, at = [], 0
    for length in lengths:
        parts.append(payload[at : at + length])
        at += length
    return parts
