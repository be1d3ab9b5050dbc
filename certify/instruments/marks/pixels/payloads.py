"""The words that invisible marks repeat: from a manifest, or in public use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reference_engine.marking.payload import DEFAULT_PAYLOAD

Bits = NDArray[np.bool_]

# Bits of an unmarked image are biased (65 to 72 % of images decode to a nearly constant word), so a lopsided
# payload would match unmarked images; and a payload of few bits cannot reach the threshold.
MIN_BITS, MAX_BITS = 32, 256
ONES_SHARE = (1 / 3, 2 / 3)
_HEX = re.compile(r"[0-9a-fA-F]+")


class PayloadError(ValueError):
    """The payload, or the method, cannot serve as a mark that differs from chance."""


@dataclass(frozen=True)
class KnownMark:
    """A mark in use: who writes it, by which method, and its word in hex, most significant bit first."""

    name: str
    method: str
    payload: str
    source: str


KNOWN = (
    KnownMark("the SDK's own word", "lumaQim", DEFAULT_PAYLOAD, "reference_engine.marking"),
    KnownMark("Stable Diffusion XL", "dwtDct", "b3ec907bb19e", "diffusers, StableDiffusionXLWatermarker"),
    KnownMark(
        "Stable Diffusion v1", "dwtDct", b"StableDiffusionV1".hex(), "CompVis/stable-diffusion, txt2img.py"
    ),
)


def payload_bits(payload: str | Sequence[int] | Bits) -> Bits:
    """A payload from hex text (most significant bit first) or from bits.

    Raises `PayloadError` unless it has 32 to 256 bits of which a third to two thirds are ones.
    """
    if isinstance(payload, str):
        if not _HEX.fullmatch(payload):
            raise PayloadError("the payload is not hexadecimal")
        digits = "".join(f"{int(digit, 16):04b}" for digit in payload[: MAX_BITS // 4 + 1])
        bits = np.array([bit == "1" for bit in digits])
    else:
        bits = np.asarray(payload).astype(np.bool_).ravel()
    if not MIN_BITS <= bits.size <= MAX_BITS:
        raise PayloadError(f"a payload needs {MIN_BITS} to {MAX_BITS} bits, not {bits.size}")
    if not ONES_SHARE[0] <= bits.mean() <= ONES_SHARE[1]:
        raise PayloadError("the payload is lopsided: a third to two thirds of its bits must be ones")
    return bits
