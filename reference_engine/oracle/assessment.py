"""Judges a sampler that ends in one answer for one noise: its order, its errors, its whole trajectory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .laws import LAWS, SHAPE, Array, Law
from .network import Network, Run, observe
from .references import SD_SCHEDULE, Trace, trace

STEP_COUNTS = (28, 40, 80, 160)
TOLERANCE = 1e-4
"""Of a trajectory in float32: honest float32 differs by about 2e-6, float16 latents by 3e-4 and more."""
FLOOR = 3e-6
"""Errors under this are rounding, and no order is fitted to them."""
TIMESTEP_TOLERANCE = 1e-3
ORDER_SLACK = 0.3
ERROR_SLACK = 1.1
_SEED = 20


@dataclass(frozen=True)
class Measured:
    """On one law: RMS errors at the assessed number of steps, in the scale of the data (about 1).

    `interior` is of the last network input against the exact solution there, and `order` its slope over the
    numbers of steps; `final` is of the output against the law's at no noise or at the model's least noise,
    whichever is nearer. `trajectory` is the largest difference from the float64 reference of any element of
    any network input or the output, `first_apart` the call at which it first passes the tolerance.
    """

    law: str
    calls: int
    order: float
    interior: float
    final: float
    trajectory: float = 0.0
    timesteps: float = 0.0
    first_apart: int | None = None


@dataclass(frozen=True)
class Assessment:
    """`measured` has a row for each law, and `expected` the same of the reference (empty where the algorithm
    is not one that has a reference).
    """

    algorithm: str
    steps: int
    tolerance: float
    measured: tuple[Measured, ...]
    expected: tuple[Measured, ...] = ()
    repeats: bool = True

    @property
    def order(self) -> float:
        return min(row.order for row in self.measured)

    @property
    def interior(self) -> float:
        return max(row.interior for row in self.measured)

    @property
    def final(self) -> float:
        return max(row.final for row in self.measured)

    @property
    def trajectory_error(self) -> float:
        return max(row.trajectory for row in self.measured)

    @property
    def is_identical(self) -> bool:
        """The algorithm it says it is, call by call."""
        return all(
            row.trajectory <= self.tolerance and row.timesteps <= TIMESTEP_TOLERANCE for row in self.measured
        )

    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; empty for a right sampler."""
        told = [] if self.repeats else ["Two runs from the same noise and seed differ."]
        for row, wanted in zip(self.measured, self.expected, strict=False):
            where = f"on the {row.law} law at {self.steps} steps"
            if row.calls != wanted.calls:
                told.append(
                    f"It calls the network {row.calls} times {where}; {self.algorithm} {wanted.calls} times."
                )
            elif row.timesteps > TIMESTEP_TOLERANCE:
                told.append(
                    f"It tells the network a timestep that is off by {row.timesteps:.3g} {where}; see that "
                    "timesteps match the noise of the latents, fractions included."
                )
            if row.trajectory > self.tolerance and row.calls == wanted.calls:
                call = "the output" if row.first_apart == row.calls else f"call {row.first_apart}"
                told.append(
                    f"Its latents differ from {self.algorithm} by {row.trajectory:.2g} {where} (at most "
                    f"{self.tolerance:g}), first at {call}."
                )
            if row.order < wanted.order - ORDER_SLACK:
                told.append(f"Its order on the {row.law} law is {row.order:.2f}, not {wanted.order:.2f}.")
            if row.final > ERROR_SLACK * wanted.final + FLOOR:
                told.append(
                    f"Its error is {row.final:.2g} {where}; {self.algorithm} leaves {wanted.final:.2g}."
                )
        return tuple(told)


def assess(
    run: Run,
    algorithm: str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
    steps: int = 28,
    step_counts: Sequence[int] = STEP_COUNTS,
    tolerance: float = TOLERANCE,
    laws: Sequence[Any] = LAWS,
) -> Assessment:
    """Runs the sampler on networks that are perfect for known laws, and compares with the exact solution.

    With `algorithm` (and its `parameters`) also with that algorithm's float64 reference; without, the order
    and errors alone are measured. Takes about a second; no weights are needed. `run` must give the network
    alpha x0 + sigma noise, as a diffusion model takes it. For samplers that draw noise, see
    `moments.assess_moments`.
    """
    given = dict(parameters or {})
    measured = tuple(
        _measured(run, law, algorithm, given, scheduler_config, steps, step_counts, tolerance) for law in laws
    )
    expected: tuple[Measured, ...] = ()
    if algorithm is not None:
        expected = tuple(
            _expected(
                law, algorithm, tuple(given.items()), _Config(scheduler_config), steps, tuple(step_counts)
            )
            for law in laws
        )
    network = Network(laws[0], scheduler_config)
    once, again = (observe(run, network, _tensor(_noise()), steps, _SEED).output for _ in range(2))
    return Assessment(
        algorithm or "this sampler", steps, tolerance, measured, expected, bool(np.array_equal(once, again))
    )


def _measured(
    run: Run,
    law: Law,
    algorithm: str | None,
    parameters: Mapping[str, Any],
    config: Mapping[str, Any],
    steps: int,
    step_counts: Sequence[int],
    tolerance: float,
) -> Measured:
    def traced(count: int) -> Trace:
        return observe(run, Network(law, config), _tensor(_noise()), count, _SEED)

    mine = traced(steps)
    row = _errors(
        law, config, mine, {count: mine if count == steps else traced(count) for count in step_counts}
    )
    if algorithm is None:
        return row
    # Algorithms begin on the noise itself, or scaled by the first sigma; both are right.
    first = float(Network(law, config).schedule.ratio(mine.timesteps[0]))
    starts = (_noise(), _noise() * first / math.hypot(1.0, first))
    start = min(starts, key=lambda noise: float(np.abs(mine.inputs[0] - noise).max()))
    wanted = trace(algorithm, law.denoised, start, steps, parameters=parameters, scheduler_config=config)
    apart = _apart(mine, wanted)
    over = [index for index, difference in enumerate(apart) if not difference <= tolerance]
    return Measured(
        row.law,
        row.calls,
        row.order,
        row.interior,
        row.final,
        max(apart),
        max(abs(a - b) for a, b in zip(mine.timesteps, wanted.timesteps, strict=False)),
        over[0] if over else None,
    )


def _apart(mine: Trace, wanted: Trace) -> list[float]:
    """The largest difference at each call and of the output; infinite where the calls are not as many, or a
    value is not finite.
    """
    if len(mine.inputs) != len(wanted.inputs):
        return [math.inf]
    pairs = [*zip(mine.inputs, wanted.inputs, strict=True), (mine.output, wanted.output)]
    differences = (float(np.abs(one - other).max()) for one, other in pairs)
    return [difference if math.isfinite(difference) else math.inf for difference in differences]


def _errors(law: Law, config: Mapping[str, Any], mine: Trace, by_count: Mapping[int, Trace]) -> Measured:
    interiors = {count: _interior(law, config, run) for count, run in by_count.items()}
    fitted = [(math.log(count), math.log(error)) for count, error in interiors.items() if error > FLOOR]
    order = -_slope(fitted) if len(fitted) > 1 else math.inf
    schedule = Network(law, config).schedule
    start = float(schedule.ratio(mine.timesteps[0]))
    z = mine.inputs[0] * math.hypot(1.0, start)
    ends = (0.0, float(schedule.ratio(0)))
    final = min(_rms(mine.output - law.solution(z, start, end) / math.hypot(1.0, end)) for end in ends)
    return Measured(law.name, len(mine.inputs), order, _interior(law, config, mine), final)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    across, up = zip(*points, strict=True)
    return float(np.polyfit(np.array(across), np.array(up), 1)[0])


def _interior(law: Law, config: Mapping[str, Any], run: Trace) -> float:
    schedule = Network(law, config).schedule
    start, end = float(schedule.ratio(run.timesteps[0])), float(schedule.ratio(run.timesteps[-1]))
    exact = law.solution(run.inputs[0] * math.hypot(1.0, start), start, end)
    return _rms(run.inputs[-1] - exact / math.hypot(1.0, end))


class _Config(dict[str, Any]):
    """A scheduler config that can be a cache's key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted((key, repr(value)) for key, value in self.items())))


@lru_cache(maxsize=128)
def _expected(
    law: Any,
    algorithm: str,
    parameters: tuple[tuple[str, Any], ...],
    config: _Config,
    steps: int,
    step_counts: tuple[int, ...],
) -> Measured:
    traces = {
        count: trace(
            algorithm,
            law.denoised,
            _noise(),
            count,
            parameters=dict(parameters),
            scheduler_config=config,
        )
        for count in {steps, *step_counts}
    }
    return _errors(law, config, traces[steps], {count: traces[count] for count in step_counts})


def _noise() -> Array:
    """The same for every run; in float32, so that a candidate starts exactly where the reference does."""
    return np.random.default_rng(_SEED).standard_normal(SHAPE).astype(np.float32).astype(np.float64)


def _tensor(array: Array) -> Any:
    import torch

    return torch.from_numpy(array).float()


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(array**2)))
