"""The child's side of the frames, and its limits. Standard library alone: it runs before any other import."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from typing import Any

try:
    import resource
except ImportError:  # Windows has no such limits; only the parent's timeout remains.
    resource = None  # type: ignore[assignment]

MAX_MEMORY = 4 << 30
MAX_SECONDS = 120


def serve(answer: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> None:
    """Reads one frame and answers it. A missing library and a refusal are answers, too."""
    _limit()
    source, out = sys.stdin.buffer, sys.stdout.buffer
    (length,) = struct.unpack(">I", source.read(4))
    header = json.loads(source.read(length))
    sys.path[:] = header.pop("path")
    try:
        reply, payload = answer(header, source.read())
    except ImportError as error:
        reply, payload = {"missing": str(error)}, b""
    except MemoryError:
        reply, payload = {"refused": "it needs more memory than an image should"}, b""
    except Exception as error:
        reply, payload = {"refused": f"{type(error).__name__}: {error}"}, b""
    head = json.dumps(reply).encode()
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
    """The parts of a payload."""
    parts, at = [], 0
    for length in lengths:
        parts.append(payload[at : at + length])
        at += length
    return parts
