"""Weight files, judged by their bytes, not names: pickles run code when loaded, safetensors don't."""

from __future__ import annotations

from .inspection import FileFormat, check_weights, sniff
from .safetensors import (
    MAX_HEADER_BYTES,
    SafetensorsHeader,
    WeightsError,
    looks_like_lora,
    read_safetensors_header,
    sha256_of,
)

__all__ = [
    "MAX_HEADER_BYTES",
    "FileFormat",
    "SafetensorsHeader",
    "WeightsError",
    "check_weights",
    "looks_like_lora",
    "read_safetensors_header",
    "sha256_of",
    "sniff",
]
