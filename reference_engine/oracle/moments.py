"""Judges a sampler that draws noise: what it draws at every step, and the law of what comes out.

One latent of independent, equally distributed elements is 16,384 samples. For Gaussian data every step is
affine, so the law of the output at this very number of steps is known without sampling. (At 28 steps Euler
ancestral leaves a standard deviation of 0.91 where the data have 1: the target itself is no yardstick.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .laws import Array, Gaussian
from .network import Network, Run, observe
from .references import SD_SCHEDULE, AncestralStep, Trace, ancestral_steps

SHAPE = (1, 4, 64, 64)
_COUNT = math.prod(SHAPE)
SPREAD = 5.0
"""Statistics may lie this many of their standard errors off."""
EXACT = 1e-4
"""For what is not random, as `assessment.TOLERANCE`."""
LAW = Gaussian(0.25, 1.0, "independent Gaussian")


@dataclass(frozen=True)
class MomentAssessment:
    """Moments of the output, beside those of the algorithm at the same number of steps; the noise drawn at
    each step; and what is not random.

    `drawn_mean`, `drawn_deviation` and `drawn_again` (correlation with the last step's noise) are in standard
    errors, the worst of any step and of all together: about 3 in a right sampler. `trajectory` is the largest
    error of a step between two runs that draw the same noise from other first latents, where the noise
    cancels out; `drift` that of a step that draws nothing.
    """

    algorithm: str
    steps: int
    calls: int
    mean: float
    deviation: float
    kurtosis: float
    expected_mean: float
    expected_deviation: float
    drawn_mean: float
    drawn_deviation: float
    drawn_again: float
    trajectory: float
    drift: float
    timesteps: float
    other_seed_differs: bool
    same_seed_repeats: bool

    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; empty for a right sampler."""
        at = f"at {self.steps} steps"
        error = 1 / math.sqrt(_COUNT)
        checks = (
            (self.calls == self.steps, f"It calls the network {self.calls} times {at}."),
            (
                self.timesteps <= 1e-3,
                f"It tells the network a timestep off by {self.timesteps:.3g}.",
            ),
            (self.other_seed_differs, "Another seed gives the same image."),
            (self.same_seed_repeats, "The same seed gives another image."),
            (
                abs(self.mean - self.expected_mean) <= SPREAD * error,
                f"The output's mean is {self.mean:.3f} {at}, not {self.expected_mean:.3f}.",
            ),
            (
                abs(self.deviation / self.expected_deviation - 1) <= SPREAD * error / math.sqrt(2),
                f"The output's standard deviation is {self.deviation:.3f} {at}; {self.algorithm} gives "
                f"{self.expected_deviation:.3f}.",
            ),
            (
                abs(self.kurtosis - 3) <= SPREAD * error * math.sqrt(24),
                f"The output's kurtosis is {self.kurtosis:.2f} {at}, not 3.",
            ),
            (self.drawn_mean <= SPREAD, "The noise drawn has not a mean of 0."),
            (self.drawn_deviation <= SPREAD, f"The noise drawn is not as large as {self.algorithm}'s."),
            (self.drawn_again <= SPREAD, "Noise is drawn once and used at two steps."),
            (
                self.trajectory <= EXACT,
                f"A step's coefficients are not {self.algorithm}'s: off by {self.trajectory:.2g}.",
            ),
            (self.drift <= EXACT, f"A step without noise is off by {self.drift:.2g} (at most {EXACT:g})."),
        )
        return tuple(sentence for right, sentence in checks if not right)


def assess_moments(
    run: Run,
    algorithm: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
    steps: int = 28,
) -> MomentAssessment:
    """Compares a sampler with DDIM at some `eta`, or Euler ancestral. See `network.Run` for `run`."""
    planned = ancestral_steps(algorithm, steps, parameters=parameters, scheduler_config=scheduler_config)
    network = Network(LAW, scheduler_config)
    noise = _noise()
    first, again, other, mirrored = (
        observe(run, network, start, steps, seed)
        for start, seed in ((noise, 1), (noise, 1), (noise, 2), (-noise, 1))
    )
    output = first.output
    mean, deviation = _expected(planned, network, first)
    drawn, drift = _drawn(_left(planned, network, first), planned)
    centred = output - output.mean()
    return MomentAssessment(
        algorithm,
        steps,
        len(first.inputs),
        float(output.mean()),
        float(output.std()),
        float(np.mean(centred**4) / np.mean(centred**2) ** 2),
        mean,
        deviation,
        _worst([float(noise.mean()) for noise in drawn]),
        _worst([(float(noise.std()) - 1) * math.sqrt(2) for noise in drawn]),
        _worst([_correlation(one, other) for one, other in pairwise(drawn)]),
        _cancelled(_left(planned, network, first), _left(planned, network, mirrored)),
        drift,
        max(abs(time - step.timestep) for time, step in zip(first.timesteps, planned, strict=False)),
        not np.array_equal(output, other.output),
        bool(np.array_equal(output, again.output)),
    )


def _expected(planned: list[AncestralStep], network: Network, run: Trace) -> tuple[float, float]:
    """Mean and standard deviation of the output, from those of the first latents."""
    mean, variance = float(run.inputs[0].mean()), float(run.inputs[0].var())
    for step in planned:
        at_zero, at_one = network.denoised(np.array([0.0, 1.0]), step.timestep)
        slope = step.keep + step.weight * (at_one - at_zero)
        mean = slope * mean + step.weight * at_zero
        variance = slope**2 * variance + step.fresh**2
    return float(mean), math.sqrt(variance)


def _left(planned: list[AncestralStep], network: Network, run: Trace) -> list[Array]:
    """Of each step, what the algorithm does not explain: its noise."""
    return [
        there - step.keep * here - step.weight * network.denoised(here, step.timestep)
        for step, (here, there) in zip(planned, pairwise([*run.inputs, run.output]), strict=False)
    ]


def _drawn(left: list[Array], planned: list[AncestralStep]) -> tuple[list[Array], float]:
    """The noise of each step, and the largest error of steps without noise."""
    drawn, drift = [], 0.0
    for step, rest in zip(planned, left, strict=False):
        if step.fresh > 0:
            drawn.append(rest / step.fresh)
        else:
            drift = max(drift, float(np.abs(rest).max()))
    return drawn, drift


def _cancelled(left: list[Array], mirrored: list[Array]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(left, mirrored, strict=False))


def _worst(statistics: list[float]) -> float:
    """In standard errors, of statistics whose standard error is 1 / sqrt(number of elements)."""
    if not statistics:
        return 0.0
    scaled = np.array(statistics) * math.sqrt(_COUNT)
    return float(max(np.abs(scaled).max(), abs(scaled.sum()) / math.sqrt(len(scaled))))


def _correlation(one: Array, other: Array) -> float:
    product = float(np.mean((one - one.mean()) * (other - other.mean())))
    return product / max(float(one.std() * other.std()), 1e-300)


def _noise() -> Any:
    import torch

    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
