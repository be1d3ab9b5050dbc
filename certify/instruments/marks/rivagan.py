"""rivaGan, the network mark of invisible-watermark: judged from the words that the library read apart.

Its words have 32 bits, so 30 of them must agree, and one picture leaves little room.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from certify.instruments.marks.layers import Layer
from certify.instruments.marks.statistics import P_THRESHOLD, corrected
from certify.instruments.marks.words import PayloadError, payload_bits

METHOD = "rivaGan"
BITS = 32


def rivagan_bits(payload: str) -> tuple[bool, ...]:
    """Raises PayloadError unless it is balanced and has 32 bits."""
    bits = payload_bits(payload)
    if bits.size != BITS:
        raise PayloadError(f"a word of rivaGan has {BITS} bits, this one has {bits.size}")
    return tuple(bool(bit) for bit in bits)


def judge_rivagan(words: Sequence[Sequence[int]], payload: str) -> Layer:
    """The words of a picture as it is and mirrored, against a payload in hex."""
    wanted = np.array(rivagan_bits(payload))
    right = [int((np.array(word, bool) == wanted).sum()) for word in words]
    best = int(np.argmax(right))
    p_value = corrected(right[best], BITS, len(words))
    told = f"rivaGan, {right[best]} of {BITS} bits, p = {p_value:.2g}"
    facts = {"bits": f"{right[best]} of {BITS}", "p-value": f"{p_value:.2g}"}
    if p_value <= P_THRESHOLD:
        found = "mirrored" if best else ""
        return Layer("invisible", "present", f"the named word ({told})", facts={**facts, "found": found})
    return Layer("invisible", "absent", "", f"not the named word ({told})", facts=facts)
