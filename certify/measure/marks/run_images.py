"""The marks of a run's images: the expected mark and the reading of each image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certify.candidate.candidate import Candidate
from certify.instruments.files.png import Png, PngError, read_png
from certify.instruments.marks.files.california import read_disclosure
from certify.instruments.marks.files.gb45438 import read_aigc
from certify.instruments.marks.files.tool_traces import read_tool
from certify.instruments.marks.files.xmp import xmp_source_type
from certify.instruments.marks.layers import Layer
from certify.instruments.marks.pixels.invisible import MarkReading, read_mark, together
from certify.instruments.marks.pixels.label import PICTURES, read_label
from certify.instruments.marks.pixels.payloads import KnownMark
from certify.instruments.marks.survey import invisible_layer
from certify.measure.checks import Broken, NotEvidenced
from certify.measure.marks.image_file import read_credentials
from certify.measure.randomness import Draws
from certify.sandbox.host.faults import PluginError
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.ledger import Ledger
from reference_engine.marking import DEFAULT_PAYLOAD, METHOD

FRESH = "mark.fresh-payload"
"""The requirement whose images carry a random word of this run."""
WORD_BITS = 64
# Images that are enough to read a label.
_LABEL_IMAGES = 24


def fresh_word(seed: str, digits: int = WORD_BITS // 4) -> str:
    """The random word of a run, in hex digits, with as many ones as zeros in binary."""
    bits = [0, 1] * (digits * 2)
    Draws(seed, FRESH).random.shuffle(bits)
    return f"{int(''.join(map(str, bits)), 2):0{digits}x}"


def made_of(generate: Callable[..., Generation], requests: Iterable[Mapping[str, Any]]) -> list[Generation]:
    """An image for each request that the plugin serves; `sdk.sizes` judges which ones it must serve.

    Raises NotEvidenced where it refuses all of them.
    """
    made = []
    refused = ""
    for request in requests:
        try:
            made.append(generate(**request))
        except PluginError as error:
            refused = error.message
    if not made:
        raise NotEvidenced(f"The plugin refused every request ({refused[:200]}); see sdk.sizes.")
    return made


def mark_of(candidate: Candidate) -> KnownMark:
    """The invisible mark that the manifest declares; the SDK's own where it declares none."""
    marks = candidate.manifest.marks
    method = METHOD if marks.invisible == "none" else marks.invisible
    return KnownMark("the declared mark", method, marks.payload or DEFAULT_PAYLOAD, "plugin.toml")


def read_generation(generation: Generation, mark: KnownMark) -> MarkReading:
    """The reading of a mark in an unchanged image, which needs no search."""
    return _read(generation, mark.payload, mark.method)


def read_all(generations: Sequence[Generation], mark: KnownMark) -> list[MarkReading]:
    """The readings of many images, which prove a short word together."""
    return together([read_generation(generation, mark) for generation in generations])


@cache
def _read(generation: Generation, payload: str, method: str) -> MarkReading:
    return read_mark(generation.pixels, payload, method)


def generations_of(ledger: Ledger) -> list[Generation]:
    if not ledger.generations:
        raise NotEvidenced("No image came back in this run.")
    return ledger.generations


def with_usual_word(ledger: Ledger) -> list[Generation]:
    """The images that carry the declared word; those of `mark.fresh-payload` carry another."""
    generations = [generation for generation in ledger.generations if generation.requirement != FRESH]
    if not generations:
        raise NotEvidenced("No image came back in this run.")
    return generations


def pngs_of(generations: Sequence[Generation]) -> Iterator[tuple[Generation, Png]]:
    """Each image with its decoded PNG. Raises Broken for a PNG that cannot be read."""
    for generation in generations:
        try:
            yield generation, _decoded(generation)
        except PngError as error:
            message = f"A PNG cannot be read (while measuring {generation.requirement}): {error}"
            raise Broken(message) from None


@cache
def _decoded(generation: Generation) -> Png:
    return read_png(generation.png, max_pixels=max(generation.pixels.size, 1))


def layers_of(
    candidate: Candidate, generations: Sequence[Generation], anchors: str
) -> list[dict[str, Layer]]:
    """All layers of each image. The visible label is read from all images together."""
    files = [png for _, png in pngs_of(generations)]
    credentials = read_credentials([generation.png for generation in generations], "image/png", anchors)
    label = read_label(_alike([generation.pixels for generation in generations]))
    mark = mark_of(candidate)
    rows = []
    readings = read_all(generations, mark)
    for reading, png, signed in zip(readings, files, credentials, strict=True):
        layers = {
            "invisible": invisible_layer(reading, mark.name),
            "iptc": xmp_source_type(png.texts),
            "aigc": read_aigc(png.texts),
            "credentials": signed,
            "label": label,
            "tool": read_tool(png.texts),
        }
        layers["disclosure"] = read_disclosure(png.texts, layers)
        rows.append(layers)
    return rows


def _alike(images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The first different images of the most frequent size."""
    shapes = [image.shape for image in images]
    usual = max(dict.fromkeys(shapes), key=shapes.count)
    different = {image.tobytes(): image for image in images if image.shape == usual}
    return list(different.values())[: max(PICTURES, _LABEL_IMAGES)]
