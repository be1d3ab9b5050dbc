"""Laws of data with a known ideal network and a known exact output of a perfect sampler.

In z = latents / alpha and r = sigma / alpha, data with density p is seen as p blurred by a Gaussian of
standard deviation r, and sampling solves dz/dr = (z - E[x0 | z]) / r. In one dimension this equation keeps
order, so z keeps its quantile in the blurred law: that gives its exact solution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
SHAPE = (1, 4, 8, 8)
"""Of the latents of one run: 256 independent elements."""


class Law(Protocol):
    """The law of the data. Arrays have the shape of the latents or broadcast to it."""

    @property
    def name(self) -> str: ...

    def denoised(self, z: Array, ratio: float) -> Array:
        """E[x0 | z], the prediction of a perfect network."""
        ...

    def solution(self, z: Array, start: float, end: float) -> Array:
        """The solution of the sampling equation at ratio `end`, from z at ratio `start`."""
        ...


def _means(shape: tuple[int, ...] = SHAPE) -> Array:
    return np.linspace(-1.0, 0.7, math.prod(shape)).reshape(shape)


def _deviations(shape: tuple[int, ...] = SHAPE) -> Array:
    spread = np.geomspace(0.1, 1.0, math.prod(shape))
    return np.random.default_rng(0).permutation(spread).reshape(shape)


def shape_of(law: Law) -> tuple[int, ...]:
    """The shape of a law's latents; SHAPE if the law is the same everywhere."""
    return np.shape(getattr(law, "mean", getattr(law, "centre", 0.0))) or SHAPE


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Independent Gaussians; by default means from -1 to 0.7 and standard deviations from 0.1 to 1."""

    mean: Any = field(default_factory=_means)
    deviation: Any = field(default_factory=_deviations)
    name: str = "Gaussian"

    def denoised(self, z: Array, ratio: float) -> Array:
        variance = self.deviation**2
        return np.asarray(self.mean + variance / (variance + ratio**2) * (z - self.mean))

    def solution(self, z: Array, start: float, end: float) -> Array:
        variance = self.deviation**2
        return np.asarray(self.mean + (z - self.mean) * np.sqrt((variance + end**2) / (variance + start**2)))


@dataclass(frozen=True, eq=False)
class Mixture:
    """`centre` + `half` or - `half`, equally likely, blurred by `deviation`: the sampling equation is not
    linear.
    """

    deviation: float = 0.25
    centre: Any = 0.0
    half: float = 1.0
    name: str = "mixture"

    def denoised(self, z: Array, ratio: float) -> Array:
        z, variance = z - self.centre, self.deviation**2
        peak = self.half * np.tanh(self.half * z / (variance + ratio**2))  # the mean of the two, given z
        return np.asarray(self.centre + peak + variance / (variance + ratio**2) * (z - peak))

    def solution(self, z: Array, start: float, end: float) -> Array:
        """By bisection, to the last bits; by symmetry for -|z|, where the tail has full precision."""
        z = z - self.centre
        wanted = self._share(-np.abs(z), start)
        low, high = np.full(z.shape, -40.0 - 40.0 * end), np.zeros(z.shape)
        for _ in range(62):
            middle = (low + high) / 2
            above = self._share(middle, end) > wanted
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.asarray(self.centre - np.sign(z) * (low + high) / 2)

    def _share(self, z: Array, ratio: float) -> Array:
        """The share of the blurred law below z."""
        width = math.sqrt(2.0 * (self.deviation**2 + ratio**2))
        return np.asarray((_erfc((self.half - z) / width) + _erfc((-self.half - z) / width)) / 4.0)


_each_erfc = np.frompyfunc(math.erfc, 1, 1)


def _erfc(values: Array) -> Array:
    """Elementwise `erfc`, which NumPy lacks."""
    return np.asarray(_each_erfc(values), np.float64)


LAWS: tuple[Law, ...] = (Gaussian(), Mixture())
"""The linear law alone would favour multistep samplers."""


def draw_laws(entropy: int, shape: tuple[int, ...] = SHAPE) -> tuple[Law, ...]:
    """Random laws like `LAWS`. A sampler that is built for the public laws does not know these."""
    random = np.random.default_rng(entropy)
    means = random.permutation(_means(shape).ravel()).reshape(shape) + random.uniform(-0.3, 0.3)
    deviations = random.permutation(_deviations(shape).ravel()).reshape(shape) * random.uniform(0.9, 1.1)
    centres, half = random.uniform(-0.3, 0.3, shape), random.uniform(0.9, 1.1)
    # A narrower mixture amplifies errors between its centres: 20 times is still rounding, 200 times is not.
    deviation = half * random.uniform(0.35, 0.42)
    return Gaussian(means, deviations), Mixture(deviation, centres, half)
