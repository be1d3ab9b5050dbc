"""Calls with an init image, from a thread, and replies with several images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from certify.sandbox.host.faults import MalformedReply, PluginError
from certify.sandbox.host.image_calls import MAX_IMAGES, CallStyle, parts_of
from certify.sandbox.host.plugin import RemotePlugin
from certify.sandbox.host.session import Reply

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")


@pytest.fixture
def painter(remote: Callable[..., RemotePlugin]) -> RemotePlugin:
    plugin = remote()
    plugin.opening = replace(plugin.opening, entry="painter:Painter", call_deadline=5)
    return plugin


@on_linux
def test_every_picture_of_a_call_is_judged_and_kept(painter: RemotePlugin) -> None:
    made = painter.several(CallStyle(), "three")
    assert [tuple(one.pixels[0, 0]) for one in made] == [RED, GREEN, BLUE]
    assert all(one.png.startswith(b"\x89PNG") for one in made)
    assert [tuple(one.pixels[0, 0]) for one in painter.several(CallStyle(), "two")] == [RED, GREEN]
    assert painter.ledger.calls == 2
    assert len(painter.ledger.generations) == 5


@on_linux
def test_no_more_come_over_than_a_call_of_the_sdk_makes(painter: RemotePlugin) -> None:
    assert len(painter.several(CallStyle(), "many")) == MAX_IMAGES


@on_linux
def test_a_picture_to_start_from_arrives_as_it_was_sent(painter: RemotePlugin) -> None:
    start = np.random.default_rng(3).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    (one,) = painter.several(CallStyle(start), "copy")
    assert np.array_equal(one.pixels, start[::-1, ::-1])


@on_linux
def test_a_thread_is_another_one(painter: RemotePlugin) -> None:
    here, there = (painter.several(CallStyle(thread=thread), "where") for thread in (False, True))
    assert tuple(here[0].pixels[0, 0]) == GREEN
    assert tuple(there[0].pixels[0, 0]) == BLUE


@on_linux
def test_refusals_and_what_is_no_picture_are_told_as_ever(painter: RemotePlugin) -> None:
    with pytest.raises(PluginError, match="no pictures"):
        painter.several(CallStyle(), "refuse")
    with pytest.raises(MalformedReply, match="no image came back, but str"):
        painter.several(CallStyle(), "nothing")
    assert len(painter.several(CallStyle(), "two")) == 2


def image_header(**more: Any) -> dict[str, Any]:
    return {"width": 1, "height": 1, "pixel_bytes": 3, "png_bytes": 2, "result": {}, **more}


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ({"pictures": [], "inside_seconds": 0.1}, b""),
        (
            {"pictures": [image_header()] * (MAX_IMAGES + 1), "inside_seconds": 0.1},
            b"12345" * (MAX_IMAGES + 1),
        ),
        ({"pictures": [image_header()], "inside_seconds": 0.1}, b"1234"),
        ({"pictures": [image_header(), image_header()], "inside_seconds": 0.1}, b"12345"),
        ({"pictures": [image_header(png_bytes=-1)], "inside_seconds": 0.1}, b"12"),
        ({"pictures": [image_header(pixel_bytes=True)], "inside_seconds": 0.1}, b"123"),
        ({"pictures": "three", "inside_seconds": 0.1}, b""),
        ({"pictures": [image_header()]}, b"12345"),
        ({}, b""),
    ],
)
def test_an_answer_out_of_form_is_refused(body: dict[str, Any], payload: bytes) -> None:
    with pytest.raises(MalformedReply):
        parts_of(Reply(body, payload, 0.1))


def test_an_answer_is_cut_where_its_parts_end() -> None:
    body = {"pictures": [image_header(), image_header(png_bytes=1)], "inside_seconds": 0.25}
    one, other = parts_of(Reply(body, b"abcdefghi", 0.5))
    assert (one.payload, other.payload) == (b"abcde", b"fghi")
    assert one.body == image_header(inside_seconds=0.25)
    assert other.seconds == 0.5
