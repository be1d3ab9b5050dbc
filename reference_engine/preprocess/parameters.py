"""The stage that checks every number of a request and reports all mistakes at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real

from ..errors import InvalidParameter
from ..marking.invisible import capacity
from .request import Request

MIN_STEPS, MAX_STEPS = 5, 50
MAX_CFG_SCALE = 30.0
MIN_SIDE, MAX_SIDE, SIDE_STEP = 64, 2048, 8
MAX_PIXELS = 1024 * 1024
"""Larger images are rendered in tiles, or with TensorRT."""
MAX_SEED = 2**63 - 1
MAX_IMAGES = 8
REMEDY = (
    "Use 5 to 50 steps (20 to 30 for most work), a guidance scale from 0 to 30 "
    "and sides that are multiples of 8 from 64 on."
)


@dataclass(frozen=True)
class ParameterCheck:
    """Steps 5 to 50, guidance scale 0 to 30, sides 64 to 2048 in steps of 8, strength above 0 to 1, 1 to 8
    images.

    `payload_bits` is the length of the invisible mark, which the image must be able to hold. Without `large`
    images have at most 1024 x 1024 pixels.
    """

    payload_bits: int = 0
    large: bool = True
    name: str = "parameters"

    def __call__(self, request: Request) -> Request:
        mistakes = [
            *_whole("steps", request.steps, MIN_STEPS, MAX_STEPS, over=" More steps gain nothing."),
            *_number("cfg_scale", request.cfg_scale, 0.0, MAX_CFG_SCALE),
            *_whole("seed", request.seed, 0, MAX_SEED),
            *_whole("num_images", request.num_images, 1, MAX_IMAGES),
            *_start(request),
        ]
        sides = [*_side("width", request.width), *_side("height", request.height)]
        mistakes += sides or _area(request, self.payload_bits, self.large)
        if mistakes:
            raise InvalidParameter("The request", mistakes, [REMEDY])
        return replace(  # plain Python numbers from here on, whatever types the caller used
            request,
            steps=int(request.steps),
            cfg_scale=float(request.cfg_scale),
            seed=int(request.seed),
            width=int(request.width),
            height=int(request.height),
            strength=float(request.strength),
            num_images=int(request.num_images),
        )


def too_large(width: int, height: int) -> str:
    """The message for an image over MAX_PIXELS that cannot be rendered."""
    return (
        f"width x height is {width} x {height}, over 1024 x 1024 pixels: "
        "that needs tiling, TensorRT or a smaller size."
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _whole(name: str, value: object, low: int, high: int, over: str = "") -> list[str]:
    if _is_whole(value) and low <= value <= high:  # type: ignore[operator]
        return []
    why = over if _is_whole(value) and value > high else ""  # type: ignore[operator]
    return [f"{name} must be a whole number from {low} to {high}, not {value!r}.{why}"]


def _number(name: str, value: object, low: float, high: float) -> list[str]:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and math.isfinite(value) and low <= value <= high:  # type: ignore[arg-type,operator]
        return []
    return [f"{name} must be a number from {low:g} to {high:g}, not {value!r}."]


def _start(request: Request) -> list[str]:
    """The mistakes in an initial image and its strength."""
    mistakes = _number("strength", request.strength, 0.0, 1.0)
    if not mistakes and request.strength == 0:
        mistakes = ["strength must be above 0, because at 0 the initial image would not change."]
    image = request.init_image
    if image is not None and not (hasattr(image, "convert") and min(getattr(image, "size", (0, 0))) > 0):
        mistakes.append(f"init_image must be a PIL image that is not empty, not {type(image).__name__}.")
    return mistakes


def _side(name: str, value: object) -> list[str]:
    if not _is_whole(value) or not MIN_SIDE <= value <= MAX_SIDE:  # type: ignore[operator]
        return [f"{name} must be a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}, not {value!r}."]
    if value % SIDE_STEP:  # type: ignore[operator]
        near = round(value / SIDE_STEP) * SIDE_STEP  # type: ignore[operator]
        return [f"{name} must be a multiple of {SIDE_STEP}, not {value}; the nearest is {near}."]
    return []


def _area(request: Request, payload_bits: int, large: bool) -> list[str]:
    width, height = request.width, request.height
    if not large and width * height > MAX_PIXELS:
        return [too_large(width, height)]
    if (room := capacity(width, height)) < payload_bits:
        return [
            f"width x height is {width} x {height}, which holds {room} bits, fewer than the {payload_bits} "
            "of watermark_payload: ask for a larger image or a shorter payload."
        ]
    return []
