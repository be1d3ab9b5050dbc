"""The header of a safetensors file, read within bounds and checked against the file.

Format: huggingface/safetensors, README "Format": u64 header length, JSON header, tensors that tile the rest
without gaps.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 16 << 20
MAX_RANK = 16

_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}
_LORA_PARTS = ("lora_A", "lora_B", "lora_up", "lora_down", "lora.up", "lora.down")


class WeightsError(Exception):
    """A file is not readable as safetensors; the message is the reason."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """The declared content of a safetensors file: name -> (dtype, shape), and its free text metadata."""

    tensors: dict[str, tuple[str, tuple[int, ...]]]
    metadata: dict[str, str]


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """The header, checked against the file. Raises `WeightsError` for faults, and `OSError`."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= MAX_HEADER_BYTES:
            raise WeightsError(f"the header must have 2 to {MAX_HEADER_BYTES} bytes")
        raw = stream.read(length)
        room = stream.seek(0, io.SEEK_END) - 8 - length
    if len(raw) < length:
        raise WeightsError("the file ends inside its header")
    fields = _json_object(raw)
    metadata = fields.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError("the metadata is not a table of texts")
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in fields.items():
        dtype, shape, span = _tensor(name, entry)
        tensors[name] = (dtype, shape)
        spans.append(span)
    _check_tiling(spans, room)
    return SafetensorsHeader(tensors, metadata)


def looks_like_lora(header: SafetensorsHeader) -> bool:
    """Whether the tensor names are those of low-rank adapters (kohya, PEFT or diffusers style)."""
    return any(part in name for name in header.tensors for part in _LORA_PARTS)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in lower-case hex. Raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _json_object(raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            raise WeightsError("the header has a name twice")
        return table

    try:
        fields = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise WeightsError("the header is not JSON") from None
    if not isinstance(fields, dict):
        raise WeightsError("the header is not a JSON object")
    return fields


def _tensor(name: str, entry: object) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    shown = name[:80]
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f'tensor "{shown}" needs dtype, shape and data_offsets')
    dtype, shape, span = entry["dtype"], _sizes(entry["shape"]), _sizes(entry["data_offsets"])
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise WeightsError(f'tensor "{shown}" has an unknown dtype')
    if shape is None or span is None or len(span) != 2:
        raise WeightsError(f'tensor "{shown}" has an impossible shape or position')
    if (span[1] - span[0]) * 8 != prod(shape) * _BITS[dtype]:
        raise WeightsError(f'tensor "{shown}" is not as long as its shape says')
    return dtype, shape, (span[0], span[1])


def _sizes(values: object) -> tuple[int, ...] | None:
    if not isinstance(values, list) or len(values) > MAX_RANK:
        return None
    return tuple(values) if all(type(value) is int and 0 <= value < 1 << 48 for value in values) else None


def _check_tiling(spans: list[tuple[int, int]], room: int) -> None:
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise WeightsError("tensors overlap, or leave a gap between them")
        at = end
    if at != room:
        raise WeightsError("the tensors do not end where the file ends")
