"""All layers of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.files.california import read_disclosure
from certify.instruments.marks.files.gb45438 import read_aigc
from certify.instruments.marks.files.tool_traces import read_tool
from certify.instruments.marks.files.xmp import xmp_source_type
from certify.instruments.marks.layers import Layer, contradictions
from certify.instruments.marks.pixels.explain import why_not_whole
from certify.instruments.marks.pixels.invisible import MarkReading, read_mark
from certify.instruments.marks.pixels.payloads import KNOWN, KnownMark


@dataclass(frozen=True)
class Survey:
    """`layers` by name; `reading` and `mark` are the likeliest invisible mark."""

    layers: Mapping[str, Layer]
    reading: MarkReading
    mark: KnownMark
    contradictions: tuple[str, ...]


def survey(
    pixels: NDArray[np.uint8],
    texts: Mapping[str, str],
    credentials: Layer,
    marks: Sequence[KnownMark] = KNOWN,
    size: tuple[int, int] | None = None,
) -> Survey:
    """Surveys RGB `pixels` and the texts of the file. `credentials` are read separately; `size` as in
    `read_mark`.
    """
    readings = [
        (read_mark(pixels, mark.payload, mark.method, size, crops=True, tried=len(marks)), mark)
        for mark in marks
    ]
    reading, mark = min(readings, key=lambda pair: pair[0].p_value)
    layers = {
        "invisible": invisible_layer(reading, mark.name),
        "iptc": xmp_source_type(texts),
        "aigc": read_aigc(texts),
        "credentials": credentials,
    }
    layers["disclosure"] = read_disclosure(texts, layers)
    layers["label"] = Layer(
        "label", "not-checkable-here", "", "a label can only be detected in several different images"
    )
    layers["tool"] = read_tool(texts)
    return Survey(layers, reading, mark, tuple(contradictions(layers)))


def invisible_layer(reading: MarkReading, name: str) -> Layer:
    """The layer of a reading."""
    facts = {
        "bits": f"{reading.k} of {reading.n}",
        "p-value": f"{reading.p_value:.2g}",
        "hypotheses": str(reading.hypotheses),
        "tiles": f"{reading.tiles.agreeing} of {reading.tiles.counted} agree",
        "found": where_found(reading) if reading.state == "present" else "",
    }
    summary = f"{reading.method}, {reading.k} of {reading.n} bits, p = {reading.p_value:.2g}"
    if reading.state == "present":
        partly = () if reading.whole else (why_not_whole(reading),)
        return Layer("invisible", "present", f"{name} ({summary})", warnings=partly, facts=facts)
    if reading.state == "cannot-carry":
        return Layer("invisible", "cannot-carry", "", "it is too small or too flat for the mark", facts=facts)
    return Layer("invisible", "absent", "", f"no known mark; the nearest is {name} ({summary})", facts=facts)


def where_found(reading: MarkReading) -> str:
    """The edits after which the mark was read, in words; empty if there are none."""
    place = reading.place
    changes = []
    if place.mirrored:
        changes.append("mirrored")
    if place.resized:
        changes.append("resized")
    if place.offset != (0, 0) or place.shift:
        changes.append(f"cropped (grid at {place.offset[1]}, {place.offset[0]})")
    if place.turned:
        changes.append(f"rotated by {place.turned:g} degrees")
    if place.gain != 1:
        changes.append(f"brightness x {place.gain:.2f}")
    if place.path == "float":
        changes.append("written on floats")
    if reading.polarity == "inverted":
        changes.append("inverted")
    return ", ".join(changes)
