"""Marks of neural networks: the decoded bits of an image and of its mirror image, against a named word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from certify.instruments.marks.layers import Layer
from certify.instruments.marks.pixels.statistics import P_THRESHOLD, corrected


def judge_bits(name: str, words: Sequence[Sequence[int]], wanted: npt.NDArray[np.bool_]) -> Layer:
    """Present where the best of the `words` (the first without mirroring) agrees with `wanted` by
    more than chance, corrected for their number.
    """
    bits = int(wanted.size)
    right = [int((np.array(word, bool) == wanted).sum()) for word in words]
    best = int(np.argmax(right))
    p_value = corrected(right[best], bits, len(words))
    summary = f"{name}, {right[best]} of {bits} bits, p = {p_value:.2g}"
    facts = {"bits": f"{right[best]} of {bits}", "p-value": f"{p_value:.2g}"}
    if p_value <= P_THRESHOLD:
        orientation = "mirrored" if best else ""
        return Layer(
            "invisible", "present", f"the named word ({summary})", facts={**facts, "found": orientation}
        )
    return Layer("invisible", "absent", "", f"not the named word ({summary})", facts=facts)
