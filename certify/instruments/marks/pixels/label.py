"""Detects the visible label without reading it: a part at an edge that is the same in different images.

GB 45438-2025 requires glyphs at least 5 % of the shortest side high, at an edge or corner. The required
contrast is that of WCAG 2.2, 1.4.3: 4.5 to 1. The words are not read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.layers import Layer

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]

PICTURES = 8
"""The number of images of the same size that separates a label from a common background."""
HEIGHT_SHARE = 0.05
CONTRAST = 4.5
# The invisible mark is written over the label, and moves its pixels by a few levels.
STILL, MOVING = 10.0, 16.0
# Nearly all of a label's box is still, and it is no larger a part of the image than this.
BOX_FILLED, LARGEST = 0.9, 0.35
# An image fits if its box differs from the median of all by less than this.
FITS = 16.0
_FIX = "Set marking.label in the configuration: the SDK draws it before the invisible mark, on every image."


def read_label(images: Sequence[Pixels]) -> Layer:
    """Whether all images (RGB, same size, different content) carry the same label at an edge or corner.

    `not-checkable-here` for fewer than 8 images, or images that hardly differ. `malformed` for a label that
    is too small, too faint, or missing on some images.
    """
    same = [image for image in images if image.shape == images[0].shape]
    if len(same) < PICTURES:
        reason = f"a label needs {PICTURES} different images of the same size; there are {len(same)}"
        return Layer("label", "not-checkable-here", "", reason)
    lumas = np.stack([image.astype(np.float64) @ (0.2126, 0.7152, 0.0722) for image in same])
    # By quartiles, so that a few images without the label do not hide it on the others.
    low, high = np.percentile(lumas, (25, 75), axis=0)
    spread = high - low
    if np.median(spread) < MOVING:
        return Layer(
            "label", "not-checkable-here", "", "the images hardly differ, so a label can't be detected"
        )
    box = _still_box(spread < STILL)
    if box is None:
        return Layer("label", "absent", "", "nothing at an edge stays the same over the images", _FIX)
    return _judge(lumas, box)


def _still_box(still: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The box (top, left, bottom, right) of the largest still part at an edge; None if there is none."""
    height, width = still.shape
    best: tuple[int, int, int, int] | None = None
    most = 0
    seeds = [
        (height - 3, 2),
        (height - 3, width - 3),
        (2, 2),
        (2, width - 3),
        (height - 3, width // 2),
        (2, width // 2),
    ]
    for row, column in seeds:
        box = _grow(still, row, column)
        if box is None:
            continue
        top, left, bottom, right = box
        area = (bottom - top) * (right - left)
        if area > most and area <= LARGEST * still.size:
            best, most = box, area
    return best


def _grow(still: NDArray[np.bool_], row: int, column: int) -> tuple[int, int, int, int] | None:
    """The still box around a place, grown line by line."""
    height, width = still.shape
    top, bottom = max(0, row - 2), min(height, row + 3)
    left, right = max(0, column - 2), min(width, column + 3)
    if still[top:bottom, left:right].mean() < BOX_FILLED:
        return None
    grown = True
    while grown:
        grown = False
        for line, moved in (
            (still[top - 1, left:right] if top else None, (-1, 0, 0, 0)),
            (still[bottom, left:right] if bottom < height else None, (0, 0, 1, 0)),
            (still[top:bottom, left - 1] if left else None, (0, -1, 0, 0)),
            (still[top:bottom, right] if right < width else None, (0, 0, 0, 1)),
        ):
            if line is not None and line.mean() >= BOX_FILLED:
                top, left, bottom, right = (
                    edge + step for edge, step in zip((top, left, bottom, right), moved, strict=True)
                )
                grown = True
                break
    return top, left, bottom, right


def _judge(lumas: Plane, box: tuple[int, int, int, int]) -> Layer:
    top, left, bottom, right = box
    parts = lumas[:, top:bottom, left:right]
    usual = np.median(parts, axis=0)
    fits = np.abs(parts - usual).mean(axis=(1, 2)) <= FITS
    ground = np.percentile(usual, 10), np.percentile(usual, 90)
    if ground[1] - ground[0] < STILL:
        return Layer(
            "label", "absent", "", "an edge stays the same over the images, but holds no glyphs", _FIX
        )
    middle = (usual.min() + usual.max()) / 2
    bright = usual > middle
    ink = bright if bright.mean() < 0.5 else ~bright
    share = _tallest(ink) / min(lumas.shape[1:])
    contrast = _contrast(float(np.median(usual[ink])), float(np.median(usual[~ink])))
    value = f"{right - left} x {bottom - top} pixels at ({left}, {top})"
    facts = {"height": f"{share:.1%} of the shortest side", "contrast": f"{contrast:.1f} to 1", "box": value}
    wrong = []
    if share < HEIGHT_SHARE:
        wrong.append(f"its glyphs are {share:.1%} of the shortest side high, less than {HEIGHT_SHARE:.0%}")
    if contrast < CONTRAST:
        wrong.append(f"its contrast is {contrast:.1f} to 1, less than {CONTRAST} to 1")
    if not fits.all():
        wrong.append(f"{int((~fits).sum())} of {len(lumas)} images lack it")
    return Layer(
        "label",
        "malformed" if wrong else "present",
        value,
        "; ".join(wrong),
        _FIX if wrong else "",
        facts=facts,
    )


def _tallest(ink: NDArray[np.bool_]) -> int:
    """The height in rows of the tallest glyph; empty columns separate glyphs."""
    filled = np.concatenate([[False], ink.any(axis=0), [False]])
    edges = np.flatnonzero(filled[1:] != filled[:-1]).reshape(-1, 2)
    heights = []
    for left, right in edges:
        rows = np.flatnonzero(ink[:, left:right].any(axis=1))
        heights.append(int(rows[-1] - rows[0] + 1))
    return max(heights, default=0)


def _contrast(first: float, second: float) -> float:
    """WCAG 2.2's contrast ratio of two grey levels, 0 to 255."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(level: float) -> float:
    value = level / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
