"""An image that a worker returned, validated before use."""

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
# Limits of a reply: pixels as a multiple of the requested number, PNG bytes as a multiple of the pixel bytes.
MAX_AREA, MAX_PNG = 4, 2


@dataclass(frozen=True, eq=False)
class Generation:
    """A returned image: RGB pixels (height, width, 3), the PNG's bytes, and the facts of the result."""

    request: Mapping[str, Any]
    pixels: Pixels = field(repr=False)
    png: bytes = field(repr=False)
    facts: Mapping[str, str | int | bool]
    seconds: float
    requirement: str

    def same_pixels(self, other: Generation) -> bool:
        return self.pixels.shape == other.pixels.shape and bool(np.array_equal(self.pixels, other.pixels))


def generation_of(reply: Reply, request: dict[str, Any], requirement: str) -> Generation:
    """The image of a reply. Raises MalformedReply where the reply is invalid or has a wrong size."""
    shown = json.dumps(request, ensure_ascii=False)[:500]
    if "no_picture" in reply.body:
        raise MalformedReply(f"no image came back, but {str(reply.body['no_picture'])[:300]}", shown)
    try:
        image = ImageReply.model_validate(
            {key: value for key, value in reply.body.items() if key not in ("nonce", "ok")}
        )
    except ValidationError as error:
        raise MalformedReply(f"not an image: {error.error_count()} invalid fields", shown) from None
    requested = int(request.get("width", 1024)) * int(request.get("height", 1024))
    if image.width * image.height > MAX_AREA * requested:
        raise MalformedReply(
            f"an image of {image.width} x {image.height} pixels, far more than was requested", shown
        )
    if image.png_bytes > MAX_PNG * image.pixel_bytes + (1 << 20):
        raise MalformedReply(
            f"a PNG of {image.png_bytes} bytes for {image.pixel_bytes} bytes of pixels", shown
        )
    if image.pixel_bytes != image.width * image.height * 3:
        raise MalformedReply("the number of pixels does not match the stated size", shown)
    if len(reply.payload) != image.pixel_bytes + image.png_bytes:
        raise MalformedReply("fewer or more bytes than stated", shown)
    pixels = np.frombuffer(reply.payload, np.uint8, image.pixel_bytes)
    return Generation(
        request=request,
        pixels=pixels.reshape(image.height, image.width, 3),
        png=reply.payload[image.pixel_bytes :],
        facts=image.result,
        seconds=reply.seconds,
        requirement=requirement,
    )
