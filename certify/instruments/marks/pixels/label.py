"""The visible label, found without reading it: what stays the same at an edge while the pictures change.

GB 45438-2025 asks for glyphs at least 5 % of the shortest side high, at an edge or corner. The contrast
asked for is that of WCAG 2.2, 1.4.3: 4.5 to 1. What the words say is not read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.layers import Layer

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]

PICTURES = 8
"""So many pictures of one size tell a label from their common background."""
HEIGHT_SHARE = 0.05
CONTRAST = 4.5
# The invisible mark is written over the label, and moves its pixels by a few levels.
STILL, MOVING = 10.0, 16.0
# A label's box is nearly all still, and no wider a part of the picture than this.
BOX_FILLED, LARGEST = 0.9, 0.35
# A picture fits where its box differs from the median of all by less than this.
FITS = 16.0
_FIX = "Set marking.label in the configuration: the SDK draws it before the invisible mark, on every image."


def read_label(pictures: Sequence[Pixels]) -> Layer:
    """Whether all these pictures (RGB, one size, of different content) carry one label at an edge or corner.

    `not-checkable-here` for fewer than 8 pictures, or ones that hardly differ. `malformed` for a label that
    is too low, too faint, or lacking on some of them.
    """
    same = [picture for picture in pictures if picture.shape == pictures[0].shape]
    if len(same) < PICTURES:
        reason = f"it takes {PICTURES} different pictures of one size to tell a label; there are {len(same)}"
        return Layer("label", "not-checkable-here", "", reason)
    lumas = np.stack([picture.astype(np.float64) @ (0.2126, 0.7152, 0.0722) for picture in same])
    # By quartiles, so that a few pictures without the label do not hide that the others have one.
    low, high = np.percentile(lumas, (25, 75), axis=0)
    spread = high - low
    if np.median(spread) < MOVING:
        return Layer("label", "not-checkable-here", "", "the pictures hardly differ, so nothing stands out")
    box = _still_box(spread < STILL)
    if box is None:
        return Layer("label", "absent", "", "nothing at an edge stays the same over the pictures", _FIX)
    return _judge(lumas, box)


def _still_box(still: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The box (top, left, bottom, right) of the largest still part that touches an edge; None without one."""
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
    """From a place, the box whose sides are still: grown line by line."""
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
            "label", "absent", "", "an edge stays the same over the pictures, but holds no glyphs", _FIX
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
        wrong.append(f"{int((~fits).sum())} of {len(lumas)} pictures lack it")
    return Layer(
        "label",
        "malformed" if wrong else "present",
        value,
        "; ".join(wrong),
        _FIX if wrong else "",
        facts=facts,
    )


def _tallest(ink: NDArray[np.bool_]) -> int:
    """Rows that the tallest glyph takes; glyphs are what empty columns set apart."""
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
