"""rivaGan, the network mark of invisible-watermark: judged from the words that the library decoded.

Its words have 32 bits, so 30 of them must agree, which leaves little margin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from certify.instruments.marks.layers import Layer
from certify.instruments.marks.pixels.networks import judge_bits
from certify.instruments.marks.pixels.payloads import PayloadError, payload_bits

METHOD = "rivaGan"
BITS = 32


def rivagan_bits(payload: str) -> tuple[bool, ...]:
    """Raises PayloadError unless it is balanced and has 32 bits."""
    bits = payload_bits(payload)
    if bits.size != BITS:
        raise PayloadError(f"a word of rivaGan has {BITS} bits, not {bits.size}")
    return tuple(bool(bit) for bit in bits)


def judge_rivagan(words: Sequence[Sequence[int]], payload: str) -> Layer:
    """The words of an image and of its mirror image, against a payload in hex."""
    return judge_bits("rivaGan", words, np.array(rivagan_bits(payload)))
