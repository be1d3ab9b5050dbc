"""Native readers of foreign bytes, each in a subprocess with limits.

The judge decodes pixels and PNG with its own code. Formats that need a native library (JPEG and WebP files,
content credentials, faces by a network) are read by a script of this folder in a subprocess, and its answer
is checked like all other input from outside. A reader that crashes loses one answer and never ends the judge.

Frames both ways: u32 length of a JSON header, the header, then raw bytes.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_ANSWER = 4096 * 4096 * 3 + (4 << 20)
SECONDS = 60.0


class NotReadable(Exception):
    """The reader gave no answer; the message says why."""


class Missing(NotReadable):
    """The library that this reader needs is not installed."""


def read_apart(
    reader: str, header: Mapping[str, Any], payload: bytes = b"", seconds: float = SECONDS
) -> tuple[dict[str, Any], bytes]:
    """The answer of `certify/decoders/<reader>.py`.

    Raises Missing where its library is not installed, NotReadable where it refuses, fails or times out.
    """
    script = Path(__file__).parent / f"{reader}.py"
    head = json.dumps({**header, "path": [place for place in sys.path if place]}).encode()
    with subprocess.Popen(
        [sys.executable, "-I", "-B", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        clock = threading.Timer(seconds, child.kill)
        clock.start()
        try:
            answer, stderr = _exchange(child, struct.pack(">I", len(head)) + head + payload)
        finally:
            clock.cancel()
            child.kill()
    return _opened(answer, stderr, reader)


def _exchange(child: subprocess.Popen[bytes], frame: bytes) -> tuple[bytes, str]:
    assert child.stdin and child.stdout and child.stderr
    errors: list[bytes] = []
    listener = threading.Thread(
        target=lambda stream: errors.append(stream.read(1 << 16)), args=(child.stderr,)
    )
    listener.start()
    writer = threading.Thread(target=_feed, args=(child.stdin, frame))
    writer.start()
    answer = child.stdout.read(MAX_ANSWER + 1)
    child.kill()
    writer.join()
    listener.join()
    return answer, b"".join(errors).decode("utf-8", "replace").strip()


def _feed(stream: Any, frame: bytes) -> None:
    try:
        stream.write(frame)
        stream.close()
    except OSError:
        # The child ended before it had read everything; its answer, if any, says why.
        return


def _opened(answer: bytes, stderr: str, reader: str) -> tuple[dict[str, Any], bytes]:
    if len(answer) > MAX_ANSWER:
        raise NotReadable(f"the reader of {reader} returned too much data")
    try:
        (length,) = struct.unpack_from(">I", answer)
        header = json.loads(answer[4 : 4 + length])
    except (struct.error, ValueError):
        reason = stderr.splitlines()[-1][:200] if stderr else "it ended early or timed out"
        raise NotReadable(f"the reader of {reader} gave no answer: {reason}") from None
    if not isinstance(header, dict):
        raise NotReadable(f"the reader of {reader} gave no answer")
    if "missing" in header:
        raise Missing(str(header["missing"])[:300])
    if "refused" in header:
        raise NotReadable(str(header["refused"])[:300])
    return header, answer[4 + length :]
