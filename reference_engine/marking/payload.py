"""The word that the invisible mark repeats.

It is balanced (as many ones as zeros), because unmarked images do not decode to random bits: natural images
give nearly constant words. Only with a balanced word is the binomial test of a detector conservative.
"""

from __future__ import annotations

from collections.abc import Sequence

MIN_BITS = 32
MAX_BITS = 136

DEFAULT_PAYLOAD = "53444b9a61d8c7b7"
"""The SDK's own word: "SDK" and five bytes that balance it."""


def bits_from_hex(text: str) -> tuple[int, ...]:
    """The bits of `text`, most significant first. Raises ValueError if it is not a usable payload."""
    if problem := payload_mistake(text):
        raise ValueError(problem)
    return tuple(int(bit) for bit in f"{int(text, 16):0{len(text) * 4}b}")


def bits_to_hex(bits: Sequence[int]) -> str:
    """Lower-case hex of `bits`, most significant first; the length must be a multiple of 4."""
    if len(bits) % 4:
        raise ValueError(f"{len(bits)} bits are not a whole number of hex digits.")
    return f"{int(''.join(str(int(bit)) for bit in bits), 2):0{len(bits) // 4}x}"


def is_balanced(bits: Sequence[int]) -> bool:
    """Whether there are as many ones as zeros."""
    return 2 * sum(int(bit) for bit in bits) == len(bits)


def payload_mistake(text: str) -> str:
    """What is wrong with a payload written in hex, or an empty string."""
    try:
        number = int(text, 16)
    except ValueError:
        return f"must be hexadecimal digits, not {text!r}."
    if not text.isalnum() or text[:2].lower() == "0x":
        return f"must be bare hexadecimal digits, not {text!r}."
    count = len(text) * 4
    if not MIN_BITS <= count <= MAX_BITS:
        return f"has {count} bits; it must have {MIN_BITS} to {MAX_BITS} (4 a digit)."
    ones = f"{number:b}".count("1")
    if ones * 2 != count:
        return f"has {ones} ones in {count} bits; it must have as many ones as zeros ({count // 2})."
    return ""


PAYLOAD_BITS = bits_from_hex(DEFAULT_PAYLOAD)
