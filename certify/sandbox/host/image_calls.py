"""Calls beside the plain one, and their answers: with a picture to start from, from a thread, and several
pictures at once. Each picture of an answer is then judged like the one of a plain call.
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
"""Pictures of one answer; the SDK makes no more in one call."""


@dataclass(frozen=True)
class CallStyle:
    """How a call is made. `start` is a picture to begin with, RGB (height, width, 3), which goes over as raw
    bytes and reaches the plugin as `init_image`; with `thread` it comes from a thread with an event loop of
    its own, while the plugin's goes on.
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
    """Of each picture, how many bytes of the payload are its own; the rest is judged with the picture."""

    model_config = ConfigDict(extra="allow", strict=True)

    pixel_bytes: int = Field(ge=1)
    png_bytes: int = Field(ge=0)


class _Pictures(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    pictures: list[_Part] = Field(min_length=1, max_length=MAX_IMAGES)
    inside_seconds: float = Field(ge=0)


def generate(calls: Calls, request: dict[str, Any], keep: bool = True) -> Generation:
    """The image of a plain call, entered into the ledger where it is to be kept.

    Raises PluginError for an exception of the plugin; other faults see `Session.ask`.
    """
    return _images(calls, request, None, keep)[0]


def generate_several(calls: Calls, request: dict[str, Any], way: CallStyle) -> list[Generation]:
    """The images of a call that is made in this `way`, one or more. Raises as `generate`."""
    return _images(calls, request, way, keep=True)


def _images(calls: Calls, request: dict[str, Any], way: CallStyle | None, keep: bool) -> list[Generation]:
    with calls.entering() as session:
        try:
            if way is None:
                replies = [session.ask("generate", calls.deadline, request=request)]
            else:
                replies = parts_of(way.ask(session, calls.deadline, request))
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
    """An answer of several pictures as so many answers of one each.

    Raises MalformedReply where it is out of form, or has fewer or more bytes than its parts.
    """
    if "no_picture" in reply.body:
        return [reply]
    shown = "several pictures"
    told = {key: value for key, value in reply.body.items() if key not in ("nonce", "ok")}
    try:
        answer = _Pictures.model_validate(told)
    except ValidationError as error:
        raise MalformedReply(f"not pictures: {error.error_count()} fields out of form", shown) from None
    lengths = [part.pixel_bytes + part.png_bytes for part in answer.pictures]
    if sum(lengths) != len(reply.payload):
        raise MalformedReply("fewer or more bytes than were told", shown)
    parts, at = [], 0
    for part, length in zip(answer.pictures, lengths, strict=True):
        body = {**part.model_dump(), "inside_seconds": answer.inside_seconds}
        parts.append(replace(reply, body=body, payload=reply.payload[at : at + length]))
        at += length
    return parts
