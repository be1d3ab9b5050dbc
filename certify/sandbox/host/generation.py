"""An image that came back from a worker, checked before anybody looks at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from certify.sandbox.host.faults import MalformedReply
from certify.sandbox.host.replies import ImageReply
from certify.sandbox.host.session import Reply

Pixels = npt.NDArray[np.uint8]
# A picture with this many times the pixels asked for, or a PNG of this many times their bytes, is no answer.
MAX_AREA, MAX_PNG = 4, 2


@dataclass(frozen=True, eq=False)
class Generation:
    """A picture that came back: RGB pixels (height, width, 3), the PNG's bytes, and what was told of it."""

    request: Mapping[str, Any]
    pixels: Pixels = field(repr=False)
    png: bytes = field(repr=False)
    facts: Mapping[str, str | int | bool]
    seconds: float
    requirement: str

    def same_pixels(self, other: Generation) -> bool:
        return self.pixels.shape == other.pixels.shape and bool(np.array_equal(self.pixels, other.pixels))


def generation_of(reply: Reply, request: dict[str, Any], requirement: str) -> Generation:
    """The image of an answer. Raises MalformedReply where it is out of form or not of the stated size."""
    shown = json.dumps(request, ensure_ascii=False)[:500]
    if "no_picture" in reply.body:
        raise MalformedReply(f"no picture came back, but {str(reply.body['no_picture'])[:300]}", shown)
    try:
        picture = ImageReply.model_validate(
            {key: value for key, value in reply.body.items() if key not in ("nonce", "ok")}
        )
    except ValidationError as error:
        raise MalformedReply(f"not a picture: {error.error_count()} fields out of form", shown) from None
    asked = int(request.get("width", 1024)) * int(request.get("height", 1024))
    if picture.width * picture.height > MAX_AREA * asked:
        raise MalformedReply(
            f"an image of {picture.width} x {picture.height} pixels, far over what was asked", shown
        )
    if picture.png_bytes > MAX_PNG * picture.pixel_bytes + (1 << 20):
        raise MalformedReply(
            f"a PNG of {picture.png_bytes} bytes for {picture.pixel_bytes} bytes of pixels", shown
        )
    if picture.pixel_bytes != picture.width * picture.height * 3:
        raise MalformedReply("the pixels do not fit the size that was told", shown)
    if len(reply.payload) != picture.pixel_bytes + picture.png_bytes:
        raise MalformedReply("fewer or more bytes than were told", shown)
    pixels = np.frombuffer(reply.payload, np.uint8, picture.pixel_bytes)
    return Generation(
        request=request,
        pixels=pixels.reshape(picture.height, picture.width, 3),
        png=reply.payload[picture.pixel_bytes :],
        facts=picture.result,
        seconds=reply.seconds,
        requirement=requirement,
    )
