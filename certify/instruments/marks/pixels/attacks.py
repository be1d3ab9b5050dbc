"""Image edits by users, in levels: a mark reaches a level if it is readable after each attack of the level.

The levels follow common practice (WAVES, An et al. 2024): R0 lossless; R1 an upload; R2 a careful edit; R3 a
careless edit. JPEG and WebP are Pillow's, with its default chroma subsampling. Regeneration
by a diffusion model, which removes every mark of this kind, is in no level.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certify.instruments.marks.pixels.resample import resample, turn

Pixels = NDArray[np.uint8]
LEVELS = ("R0", "R1", "R2", "R3")
NEEDED = 0.95
"""A level is reached if at least this share of the images carries the mark after each of its attacks."""


@dataclass(frozen=True)
class Attack:
    """`apply` takes RGB pixels (height, width, 3) and a random generator; the size may change."""

    name: str
    level: str
    apply: Callable[[Pixels, np.random.Generator], Pixels]


def attacks_of(level: str) -> list[Attack]:
    """All attacks up to a level."""
    return [attack for attack in ATTACKS if LEVELS.index(attack.level) <= LEVELS.index(level)]


def _encoded(kind: str, **options: Any) -> Callable[[Pixels, np.random.Generator], Pixels]:
    def apply(pixels: Pixels, _: np.random.Generator) -> Pixels:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return np.asarray(Image.open(buffer, formats=(kind,)).convert("RGB"))

    return apply


def _resized(scale: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
    return lambda pixels, _: resample(pixels, round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))


def _brighter(gain: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
    return lambda pixels, _: _rounded(pixels * gain)


def _contrasted(gain: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
    return lambda pixels, _: _rounded((pixels - pixels.mean()) * gain + pixels.mean())


def _noisy(pixels: Pixels, random: np.random.Generator) -> Pixels:
    return _rounded(pixels + random.normal(0, 5, pixels.shape))


def _cropped(lost: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
    """A random crop that loses this share of the area."""

    def apply(pixels: Pixels, random: np.random.Generator) -> Pixels:
        height, width = (max(1, round(side * (1 - lost) ** 0.5)) for side in pixels.shape[:2])
        top = int(random.integers(pixels.shape[0] - height + 1))
        left = int(random.integers(pixels.shape[1] - width + 1))
        return pixels[top : top + height, left : left + width]

    return apply


def _screenshot(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Scaled down, a little brighter, and saved as JPEG."""
    shown = _rounded(resample(pixels, round(pixels.shape[1] * 0.9), round(pixels.shape[0] * 0.9)) * 1.03)
    return _encoded("JPEG", quality=85)(shown, random)


def _rounded(values: NDArray[np.floating]) -> Pixels:
    made: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return made


ATTACKS = (
    Attack("PNG", "R0", lambda pixels, _: pixels),
    Attack("WebP, lossless", "R0", _encoded("WEBP", lossless=True)),
    Attack("JPEG 95", "R1", _encoded("JPEG", quality=95)),
    Attack("JPEG 85", "R1", _encoded("JPEG", quality=85)),
    Attack("resized to 75 %", "R1", _resized(0.75)),
    Attack("resized to 150 %", "R1", _resized(1.5)),
    Attack("JPEG 75", "R2", _encoded("JPEG", quality=75)),
    Attack("WebP 80", "R2", _encoded("WEBP", quality=80)),
    Attack("brightness x 1.1", "R2", _brighter(1.1)),
    Attack("brightness x 0.9", "R2", _brighter(0.9)),
    Attack("contrast x 1.2", "R2", _contrasted(1.2)),
    Attack("contrast x 0.8", "R2", _contrasted(0.8)),
    Attack("noise, sd 5", "R2", _noisy),
    Attack("mirrored", "R2", lambda pixels, _: np.ascontiguousarray(pixels[:, ::-1])),
    Attack("crop of 5 %", "R2", _cropped(0.05)),
    Attack("crop of 10 %", "R2", _cropped(0.1)),
    Attack("JPEG 50", "R3", _encoded("JPEG", quality=50)),
    Attack("crop of 25 %", "R3", _cropped(0.25)),
    Attack("crop of 50 %", "R3", _cropped(0.5)),
    Attack("rotated by 1 degree", "R3", lambda pixels, _: turn(pixels, 1.0)),
    Attack("rotated by 5 degrees", "R3", lambda pixels, _: turn(pixels, 5.0)),
    Attack("screenshot", "R3", _screenshot),
)
