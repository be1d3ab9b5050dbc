"""Calls for images, and their replies: plain, with an init image, from a thread, and with several images.

Each image of a reply is then validated like the image of a plain call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from certify.sandbox.host.calls import Calls
from certify.sandbox.host.faults import CandidateFault, MalformedReply, PluginError
from certify.sandbox.host.generation import Generation, generation_of
from certify.sandbox.host.session import Reply, Session

MAX_IMAGES = 8
"""Images in one reply; the SDK makes no more in one call."""


@dataclass(frozen=True)
class CallStyle:
    """How a call is made. `start` is an RGB image (height, width, 3), sent as raw bytes and passed to the
    plugin as `init_image`. With `thread` the call comes from a thread with its own event loop, while the
    plugin's event loop keeps running.
    """

    start: npt.NDArray[np.uint8] | None = None
    thread: bool = False

    def ask(self, session: Session, deadline: float, request: Mapping[str, Any]) -> Reply:
        """Raises as `Session.ask`."""
        size = None if self.start is None else [self.start.shape[1], self.start.shape[0]]
        payload = b"" if self.start is None else np.ascontiguousarray(self.start).tobytes()
        return session.converse(
            "pictures", deadline, None, payload, request=dict(request), start=size, thread=self.thread
        )


class _Part(BaseModel):
    """The number of payload bytes of one image; its other fields are validated with the image."""

    model_config = ConfigDict(extra="allow", strict=True)

    pixel_bytes: int = Field(ge=1)
    png_bytes: int = Field(ge=0)


class _ImageReplies(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    pictures: list[_Part] = Field(min_length=1, max_length=MAX_IMAGES)
    inside_seconds: float = Field(ge=0)


def generate(calls: Calls, request: dict[str, Any], keep: bool = True) -> Generation:
    """The image of a plain call, entered into the ledger where it is to be kept.

    Raises PluginError for an exception of the plugin; other faults see `Session.ask`.
    """
    return _images(calls, request, None, keep)[0]


def generate_several(calls: Calls, request: dict[str, Any], style: CallStyle) -> list[Generation]:
    """The images of a call in this `style`, one or more. Raises as `generate`."""
    return _images(calls, request, style, keep=True)


def _images(calls: Calls, request: dict[str, Any], style: CallStyle | None, keep: bool) -> list[Generation]:
    with calls.entering() as session:
        try:
            if style is None:
                replies = [session.ask("generate", calls.deadline, request=request)]
            else:
                replies = parts_of(style.ask(session, calls.deadline, request))
            images = [generation_of(reply, request, calls.ledger.requirement) for reply in replies]
        except PluginError:
            raise
        except CandidateFault:
            session.end()
            raise
    if keep:
        calls.ledger.generations += images
    return images


def parts_of(reply: Reply) -> list[Reply]:
    """Splits a reply with several images into replies with one image each.

    Raises MalformedReply where it is invalid, or has fewer or more bytes than its parts.
    """
    if "no_picture" in reply.body:
        return [reply]
    shown = "several images"
    fields = {key: value for key, value in reply.body.items() if key not in ("nonce", "ok")}
    try:
        images = _ImageReplies.model_validate(fields)
    except ValidationError as error:
        raise MalformedReply(f"not images: {error.error_count()} invalid fields", shown) from None
    lengths = [part.pixel_bytes + part.png_bytes for part in images.pictures]
    if sum(lengths) != len(reply.payload):
        raise MalformedReply("fewer or more bytes than stated", shown)
    parts, offset = [], 0
    for part, length in zip(images.pictures, lengths, strict=True):
        body = {**part.model_dump(), "inside_seconds": images.inside_seconds}
        parts.append(replace(reply, body=body, payload=reply.payload[offset : offset + length]))
        offset += length
    return parts
