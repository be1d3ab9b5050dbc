"""TrustMark, a network mark of 100 bits: judged from the raw bits that its maker's package decoded.

Its error-correcting codes accept about 2 % of random words (the weakest has
21 check bits for 96, of which three may be wrong), so "a word was decoded" proves nothing at 1e-6: the
bits are compared with the packet of a named word.
"""

from __future__ import annotations

from collections.abc import Sequence

from certify.instruments.marks.layers import Layer
from certify.instruments.marks.pixels.networks import judge_bits
from certify.instruments.marks.pixels.payloads import PayloadError, payload_bits

METHOD = "trustmark"
BITS = 100
# The packet holds 61 bits of data (schema BCH_5), which 15 digits fill but for the last.
MAX_DIGITS = 15


def trustmark_bits(payload: str) -> str:
    """A word's bits as text, from 1 to 15 hexadecimal digits. Raises PayloadError."""
    if not 1 <= len(payload) <= MAX_DIGITS or not all(digit in "0123456789abcdefABCDEF" for digit in payload):
        raise PayloadError(f"a word of TrustMark is 1 to {MAX_DIGITS} hexadecimal digits")
    return "".join(f"{int(digit, 16):04b}" for digit in payload)


def judge_trustmark(words: Sequence[Sequence[int]], packet: Sequence[int]) -> Layer:
    """The raw bits of an image and of its mirror image, against the 100 bits of the named word's packet.

    Raises PayloadError for a packet that is lopsided, ValueError for words of another length.
    """
    wanted = payload_bits(packet)
    if wanted.size != BITS or any(len(word) != BITS for word in words) or not words:
        raise ValueError(f"words of TrustMark have {BITS} bits")
    return judge_bits("TrustMark", words, wanted)
