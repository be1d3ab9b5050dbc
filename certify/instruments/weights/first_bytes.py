"""Whether a file holds weights, and whether they are a LoRA, by its first bytes.

For files that may vanish, and for callers that must not block: nothing is parsed. A header is searched for
the tensor names of low-rank adapters.
"""

from __future__ import annotations

import re
import zlib
from typing import IO, Literal

from .safetensors import MAX_HEADER_BYTES

WeightsKind = Literal["LoRA", "weights", ""]

# By the names of tensors: LoRA in the style of kohya, PEFT and diffusers, and LyCORIS.
ADAPTER = r"lora_(?:up|down|[AB])\b|lora\.(?:up|down)\b|lora_linear_layer|\bhada_w[12]|\blokr_w[12]"
_ADAPTER = re.compile(ADAPTER.encode())
_ESCAPED = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
# A torch file keeps its pickle, with the names of the tensors, as the first member of a zip; before torch 1.6
# a number came first (torch/serialization.py, MAGIC_NUMBER).
_ZIP, _PICKLE_MEMBER = b"PK\x03\x04", b"/data.pkl"
_TORCH_NUMBER = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_GGUF = b"GGUF"
_HEAD = 1 << 20


def glance(stream: IO[bytes], size: int) -> WeightsKind:
    """The kind of a file of `size` bytes. Other pickles and numpy files are data as often as weights, and do
    not count as weights here. Raises OSError.
    """
    head = stream.read(9)
    length = int.from_bytes(head[:8], "little")
    if head[8:] == b"{" and 2 <= length <= MAX_HEADER_BYTES and 8 + length <= size:
        return _by_names(b"{" + stream.read(length - 1))
    if head.startswith((_ZIP, b"\x80\x02", _GGUF)):
        head += stream.read(_HEAD)
        if head.startswith(_ZIP) and _PICKLE_MEMBER in head[:300]:
            return _by_names(_first_member(head))
        if _TORCH_NUMBER in head[:40] or head.startswith(_GGUF):
            return _by_names(head)
    return ""


def _first_member(head: bytes) -> bytes:
    """The first bytes of a zip's first member (APPNOTE.TXT, 4.3.7), inflated where it is deflated."""
    body = head[30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little") :]
    if head[8:10] != b"\x08\0":
        return body
    try:
        return zlib.decompressobj(-15).decompress(body, _HEAD)
    except zlib.error:
        return b""


def _by_names(names: bytes) -> WeightsKind:
    plain = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), names)
    return "LoRA" if _ADAPTER.search(plain) else "weights"
