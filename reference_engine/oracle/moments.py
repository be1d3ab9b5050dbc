"""Assesses a sampler that draws noise: the noise of every step, and the law of the output.

One latent of independent, equally distributed elements is 16,384 samples. For Gaussian data every step is
affine, so the law of the output at this very number of steps is known without sampling. (At 28 steps Euler
ancestral leaves a standard deviation of 0.91 where the data have 1: the data themselves are no baseline.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .laws import Array, Gaussian
from .network import Network, Run, noise_of, observe
from .references import SD_SCHEDULE, AncestralStep, Trace, ancestral_steps

SHAPE = (1, 4, 64, 64)
_COUNT = math.prod(SHAPE)
SPREAD = 5.0
"""Statistics may be off by this many of their standard errors."""
EXACT = 1e-4
"""The tolerance for values that are not random, as `assessment.TOLERANCE`."""
LAW = Gaussian(0.25, 1.0, "independent Gaussian")
YARDSTICK = "Euler a"
"""The baseline for a custom sampler."""


def draw_law(entropy: int) -> Gaussian:
    """A random law like `LAW`."""
    random = np.random.default_rng(entropy)
    return Gaussian(random.uniform(-0.4, 0.4), random.uniform(0.7, 1.1), LAW.name)


@dataclass(frozen=True)
class Moments:
    """Moments of the elements of the output, or of the data."""

    mean: float
    deviation: float
    kurtosis: float = 3.0


@dataclass(frozen=True)
class Drawn:
    """The noise of each step and the deterministic part, compared with an algorithm's steps.

    `mean`, `deviation` and `again` (correlation with the last step's noise) are in standard errors, the worst
    of any step and of all together: about 3 in a correct sampler. `trajectory` is the largest error of a step
    between two runs that draw the same noise from other first latents, where the noise cancels out; `drift`
    that of a step that draws nothing; `start` that of the first latents; `timesteps` that of a timestep.
    """

    mean: float
    deviation: float
    again: float
    trajectory: float
    drift: float
    start: float
    timesteps: float


@dataclass(frozen=True)
class MomentAssessment:
    """Moments of the output, and the `expected` ones of the algorithm at the same number of steps. A custom
    sampler (`algorithm` is None) is compared with the `data` and with Euler ancestral. `drawn` exists
    only for an algorithm, whose steps are known.
    """

    algorithm: str | None
    steps: int
    calls: int
    output: Moments
    expected: Moments
    data: Moments
    drawn: Drawn | None
    other_seed_differs: bool
    same_seed_repeats: bool

    def problems(self) -> tuple[str, ...]:
        """The problems, one sentence each; empty for a correct sampler."""
        return (*self.repetition_problems(), *self.trajectory_problems(), *self.moment_problems())

    def repetition_problems(self) -> tuple[str, ...]:
        return _failed(
            (
                self.other_seed_differs,
                "Another seed gives the same latents, although this sampler must draw noise.",
            ),
            (self.same_seed_repeats, "Two runs from the same noise and seed differ."),
        )

    def trajectory_problems(self) -> tuple[str, ...]:
        """Differences of its steps from the algorithm's, without the noise."""
        if self.drawn is None:
            return ()
        noise, name = self.drawn, self.algorithm
        return _failed(
            (
                self.calls == self.steps,
                f"It calls the network {self.calls} times at {self.steps} steps; {name} {self.steps} times.",
            ),
            (
                noise.timesteps <= 1e-3,
                f"Its timestep for the network is off by {noise.timesteps:.3g}; check that timesteps match "
                "the noise of the latents.",
            ),
            (
                noise.start <= EXACT,
                f"Its first latents are off by {noise.start:.2g}; check how the noise is scaled (the network "
                "takes alpha x0 + sigma noise).",
            ),
            (
                noise.trajectory <= EXACT,
                f"A step's coefficients are not {name}'s: off by {noise.trajectory:.2g}.",
            ),
            (noise.drift <= EXACT, f"A step without noise is off by {noise.drift:.2g} (at most {EXACT:g})."),
        )

    def moment_problems(self) -> tuple[str, ...]:
        """Errors in the law of the output, or of the noise that is drawn."""
        at, error = f"at {self.steps} steps", 1 / math.sqrt(_COUNT)
        name = self.algorithm or YARDSTICK
        leeway = Moments(SPREAD * error * self.data.deviation, SPREAD * error / math.sqrt(2))
        target = self.expected
        if self.algorithm is None:  # as far from the data as the baseline, on either side
            target = self.data
            leeway = Moments(
                leeway.mean + 1.1 * abs(self.expected.mean - target.mean),
                leeway.deviation + 1.1 * abs(self.expected.deviation / target.deviation - 1),
            )
        problems = _failed(
            (
                abs(self.output.mean - target.mean) <= leeway.mean,
                f"The output's mean is {self.output.mean:.3f} {at}, not {target.mean:.3f}.",
            ),
            (
                abs(self.output.deviation / target.deviation - 1) <= leeway.deviation,
                f"The output's standard deviation is {self.output.deviation:.3f} {at}, where the data have "
                f"{self.data.deviation:.3f}; {name} gives {self.expected.deviation:.3f}.",
            ),
            (
                abs(self.output.kurtosis - 3) <= SPREAD * error * math.sqrt(24),
                f"The output's kurtosis is {self.output.kurtosis:.2f} {at}, not 3.",
            ),
        )
        if self.drawn is None:
            return problems
        return problems + _failed(
            (self.drawn.mean <= SPREAD, "The mean of the drawn noise is not 0."),
            (self.drawn.deviation <= SPREAD, f"The size of the drawn noise is not that of {name}."),
            (self.drawn.again <= SPREAD, "Noise is drawn once and used at two steps."),
        )


def _failed(*checks: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(sentence for right, sentence in checks if not right)


def assess_moments(
    run: Run,
    algorithm: str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
    steps: int = 28,
    law: Gaussian = LAW,
    seed: int = 0,
) -> MomentAssessment:
    """Compares a sampler with DDIM at some `eta`, or Euler ancestral; without `algorithm` only its output.

    The law's mean and deviation are numbers, the same for all elements. See `network.Run` for `run`; raises
    NotASampler if it does not run as a sampler.
    """
    planned = ancestral_steps(
        algorithm or YARDSTICK,
        steps,
        parameters=parameters if algorithm else None,
        scheduler_config=scheduler_config,
    )
    network = Network(law, scheduler_config)
    noise = noise_of(SHAPE, seed)
    first, again, other = (observe(run, network, noise, steps, which) for which in (seed, seed, seed ^ 1))
    output = first.output
    centred = output - output.mean()
    spread = float(np.mean(centred**2))
    drawn = None
    if algorithm is not None:
        mirrored = observe(run, network, -noise, steps, seed)
        drawn = _drawn(planned, network, first, mirrored, noise)
    return MomentAssessment(
        algorithm,
        steps,
        len(first.inputs),
        Moments(float(output.mean()), math.sqrt(spread), float(np.mean(centred**4)) / max(spread**2, 1e-300)),
        _expected(planned, network, noise),
        Moments(float(law.mean), float(law.deviation)),
        drawn,
        not np.array_equal(output, other.output),
        bool(np.array_equal(output, again.output)),
    )


def _drawn(
    planned: list[AncestralStep], network: Network, first: Trace, mirrored: Trace, noise: Array
) -> Drawn:
    left = _left(planned, network, first)
    drawn, drift = _noises(left, planned)
    ratio = float(network.schedule.ratio(first.timesteps[0]))
    starts = (noise, noise * ratio / math.hypot(1.0, ratio))
    return Drawn(
        mean=_worst([float(one.mean()) for one in drawn]),
        deviation=_worst([(float(one.std()) - 1) * math.sqrt(2) for one in drawn]),
        again=_worst([_correlation(one, other) for one, other in pairwise(drawn)]),
        trajectory=_cancelled(left, _left(planned, network, mirrored)),
        drift=drift,
        start=min(float(np.abs(first.inputs[0] - start).max()) for start in starts),
        timesteps=max(
            abs(time - step.timestep) for time, step in zip(first.timesteps, planned, strict=False)
        ),
    )


def _expected(planned: list[AncestralStep], network: Network, noise: Array) -> Moments:
    """Moments of the output, from those of the first latents."""
    mean, variance = float(noise.mean()), float(noise.var())
    for step in planned:
        at_zero, at_one = network.denoised(np.array([0.0, 1.0]), step.timestep)
        slope = step.keep + step.weight * (at_one - at_zero)
        mean = slope * mean + step.weight * at_zero
        variance = slope**2 * variance + step.fresh**2
    return Moments(float(mean), math.sqrt(variance))


def _left(planned: list[AncestralStep], network: Network, run: Trace) -> list[Array]:
    """The residual of each step after the algorithm's deterministic part: its noise."""
    return [
        there - step.keep * here - step.weight * network.denoised(here, step.timestep)
        for step, (here, there) in zip(planned, pairwise([*run.inputs, run.output]), strict=False)
    ]


def _noises(left: list[Array], planned: list[AncestralStep]) -> tuple[list[Array], float]:
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
