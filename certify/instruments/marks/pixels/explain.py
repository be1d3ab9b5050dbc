"""Why a mark is missing, as far as that is known, and what the author can do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels import luma
from certify.instruments.marks.pixels.invisible import MarkReading, read_mark
from certify.instruments.marks.pixels.payloads import KNOWN, KnownMark
from certify.instruments.marks.pixels.tiles import FAITHFUL

Pixels = NDArray[np.uint8]
# Below this width diffusers' watermarker returns the image unmarked, without a warning.
DIFFUSERS_LEAST = 256
_SCALES = (0.5, 2 / 3, 0.75, 0.25, 2.0)
_LAST = "Write the mark last, after every resize, crop and filter."


@dataclass(frozen=True)
class Cause:
    """`reason` is a sentence, `fix` says what to do. Both are empty if nothing is known."""

    reason: str = ""
    fix: str = ""


def why_absent(pixels: Pixels, mark: KnownMark) -> Cause:
    """Searches for the mark after common mistakes: cropped, resized, another word or method."""
    reading = read_mark(pixels, mark.payload, mark.method, crops=True)
    if reading.state == "present":
        down, right = reading.place.offset
        return Cause(
            f"The image was cropped after it was marked: the grid begins at ({right}, {down}).", _LAST
        )
    height, width = pixels.shape[:2]
    for scale in _SCALES:
        size = (round(width * scale), round(height * scale))
        if min(size) >= 8 and read_mark(pixels, mark.payload, mark.method, size).state == "present":
            return Cause(f"The image was marked at {size[0]} x {size[1]} and resized afterwards.", _LAST)
    others = [known for known in KNOWN if (known.method, known.payload) != (mark.method, mark.payload)]
    for other in others:
        if read_mark(pixels, other.payload, other.method).state == "present":
            reason = f"It carries another mark than the declared: {other.name} ({other.method})."
            return Cause(reason, "Declare the mark that is written, or write the declared mark.")
    if mark.method == "dwtDct" and width < DIFFUSERS_LEAST:
        return Cause(
            f"The image is {width} pixels wide; diffusers' watermarker leaves those under 256 unmarked.",
            "Mark by SDK.deliver(image, ...), which marks from 64 x 64 pixels on.",
        )
    return Cause(
        "", "Is the marker installed and called for every image, also for latents that become images later?"
    )


def why_lost(method: str, attack: str) -> Cause:
    """Why a method does not survive an attack."""
    if method == luma.METHOD:
        return Cause(
            "",
            "Write it by reference_engine.marking.mark on the final 8-bit image, and change nothing after.",
        )
    if "JPEG" in attack or "WebP" in attack:
        reason = f"{method} uses only the U plane, whose resolution these formats halve (4:2:0)."
    elif "brightness" in attack or "contrast" in attack:
        reason = f"{method} quantises values that brightness scales."
    elif "crop" in attack or attack == "mirrored":
        reason = f"{method} counts its blocks from the corner, so it is hard to locate again."
    else:
        reason = f"{method} is not designed for this."
    return Cause(reason, 'Let the SDK mark: [marks] invisible = "lumaQim".')


def remarks(reading: MarkReading) -> list[str]:
    """Remarks on a mark that is present."""
    messages = []
    if reading.place.path == "float":
        messages.append(
            "It was written on floats: most readers see its bits inverted. Convert to uint8 before marking."
        )
    if reading.polarity == "inverted":
        messages.append("Its bits are inverted.")
    if not reading.whole:
        messages.append(why_not_whole(reading))
    return messages


def why_not_whole(reading: MarkReading) -> str:
    """Why a mark that is present is not whole, in a sentence."""
    tiles = reading.tiles
    if not tiles.agree:
        return f"Only {tiles.agreeing} of {tiles.counted} parts of the image carry it."
    return (
        f"Of the blocks that {reading.method} can mark {tiles.share:.0%} say the word; its marker leaves at "
        f"least {FAITHFUL:.0%}. It is another image's mark, or the image was changed after marking."
    )
