"""Native readers of bytes that others made, each in a process of its own with limits.

The judge decodes pixels and PNG by its own code. What only a native library can read (JPEG and WebP files,
content credentials, faces by a network) is read by a script of this folder in a child, and the child's
answer is checked like everything else that comes from outside. A reader that crashes costs one answer, not
the judge.

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

    Raises Missing where its library is not installed, NotReadable where it refuses, fails or takes too long.
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
            answer, last_words = _exchange(child, struct.pack(">I", len(head)) + head + payload)
        finally:
            clock.cancel()
            child.kill()
    return _opened(answer, last_words, reader)


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
        # The child ended before it had read everything; its answer, or the lack of one, tells.
        return


def _opened(answer: bytes, last_words: str, reader: str) -> tuple[dict[str, Any], bytes]:
    if len(answer) > MAX_ANSWER:
        raise NotReadable(f"the reader of {reader} answered without end")
    try:
        (length,) = struct.unpack_from(">I", answer)
        header = json.loads(answer[4 : 4 + length])
    except (struct.error, ValueError):
        told = last_words.splitlines()[-1][:200] if last_words else "it ended or took too long"
        raise NotReadable(f"the reader of {reader} gave no answer: {told}") from None
    if not isinstance(header, dict):
        raise NotReadable(f"the reader of {reader} gave no answer")
    if "missing" in header:
        raise Missing(str(header["missing"])[:300])
    if "refused" in header:
        raise NotReadable(str(header["refused"])[:300])
    return header, answer[4 + length :]
