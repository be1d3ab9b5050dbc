"""Confidence: for a single image, for a plugin, and for a short word over many images.

Single image: k of n bits agree. If the word is balanced and independent of the image, P(K >= k) is at
most the tail of a binomial with fair coins, times the number of hypotheses (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, fsum, lgamma, log, log1p
from typing import Literal

import numpy as np

from certify.instruments.marks.pixels.payloads import Bits

P_THRESHOLD = 1e-6
# The confidence of a certificate's bound on the share of unmarked images.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Agreement:
    """`k` of `n` bits agree in the better polarity; `p_value` is the chance of that, times the `hypotheses`
    tried.
    """

    k: int
    n: int
    p_value: float
    hypotheses: int
    inverted: bool


@lru_cache(maxsize=4096)
def binomial_tail(k: int, n: int, chance: float = 0.5) -> float:
    """P(K >= k) for n independent trials, each with a chance between 0 and 1."""
    if k <= 0:
        return 1.0
    # By logarithms: the numbers of ways leave the range of floats from a thousand trials on.
    good, bad = log(chance), log1p(-chance)
    ways = lgamma(n + 1)
    terms = (
        exp(ways - lgamma(i + 1) - lgamma(n - i + 1) + i * good + (n - i) * bad) for i in range(k, n + 1)
    )
    return min(1.0, fsum(terms))


def corrected(k: int, n: int, hypotheses: int) -> float:
    return min(1.0, hypotheses * binomial_tail(k, n))


def bits_needed(n: int, hypotheses: int = 1, threshold: float = P_THRESHOLD) -> int:
    """The fewest of n bits that must agree; n + 1 if even all of them prove nothing."""
    return next((k for k in range(n + 1) if corrected(k, n, hypotheses) <= threshold), n + 1)


def agreement(bits: Bits, payload: Bits) -> Agreement:
    """How well decoded bits fit a payload, in either polarity.

    A marker that hands floats to the library inverts its bits where the image is warm, so both polarities
    are tried; the p-value is the binomial tail P(K >= k) for fair coins times 2 (Bonferroni).
    """
    n = int(payload.size)
    same = int((np.asarray(bits, np.bool_) == payload).sum())
    k = max(same, n - same)
    return Agreement(k, n, corrected(k, n, 2), 2, inverted=same < n - same)


def combined(p_values: Iterable[float]) -> float:
    """The combined p-value of many images, for words that are too short as proof in a single image.

    Fisher, Statistical Methods for Research Workers, 21.1: twice the negative logarithms add up to chi-square
    with two degrees per image. P-values of images are corrected for the places searched, so places and
    polarities may differ. 1 for no images.
    """
    rows = [max(p_value, 1e-300) for p_value in p_values]
    half = -fsum(map(log, rows))
    if half <= 0:
        return 1.0
    return min(1.0, fsum(exp(i * log(half) - half - lgamma(i + 1)) for i in range(len(rows))))


def unmarked_bound(images: int, unmarked: int = 0, confidence: float = CONFIDENCE) -> float:
    """Upper bound on the share of unmarked images after `unmarked` of `images` had no mark.

    Clopper and Pearson, one-sided: the share at which this few have chance 1 - confidence. For
    none of N it is 1 - (1 - confidence)^(1/N): 59 images bound it to 5 %, 299 to 1 %.
    """
    if images < 1 or unmarked >= images:
        return 1.0
    low, high = unmarked / images, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        few = 1 - binomial_tail(unmarked + 1, images, middle)
        low, high = (middle, high) if few > 1 - confidence else (low, middle)
    return high


def sequential(marked: Sequence[bool], good: float = 0.99, bad: float = 0.9, error: float = 0.01) -> Decision:
    """Wald's sequential test of the share of marked images: `good` or more against `bad` or less.

    Both errors are at most `error`. It stops as soon as it is decided: after two images for a plugin that
    marks nothing, after 49 for a plugin that marks all images.
    """
    lower, upper = log(error / (1 - error)), log((1 - error) / error)
    total = 0.0
    for number, is_marked in enumerate(marked, start=1):
        total += log(good / bad) if is_marked else log((1 - good) / (1 - bad))
        if total <= lower:
            return Decision("bad", number)
        if total >= upper:
            return Decision("good", number)
    return Decision("open", len(marked))


@dataclass(frozen=True)
class Decision:
    """The outcome of a sequential test, and the number of images it took."""

    outcome: Literal["good", "bad", "open"]
    after: int
