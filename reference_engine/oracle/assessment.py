"""Assesses a deterministic sampler: its order, its errors, and its whole trajectory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from .laws import LAWS, Array, Law, shape_of
from .network import Network, Run, noise_of, observe
from .references import SD_SCHEDULE, Trace, trace

STEP_COUNTS = (28, 40, 80, 160)
TOLERANCE = 1e-4
"""For a trajectory in float32: correct float32 differs by about 2e-6, float16 latents by 3e-4 and more."""
FLOOR = 3e-6
"""Smaller errors are rounding; no order is fitted to them."""
TIMESTEP_TOLERANCE = 1e-3
ORDER_SLACK = 0.3
ORDER_SHARE = 0.75
"""The required share of the order that a custom sampler claims: at 28 to 160 steps multistep methods
are below their order, and a fourth-order one shows 3.2.
"""
FIRST_ORDER = 0.5
"""Enough for a claim of order 1: DDIM shows 0.67 on trailing timesteps, and a method without convergence 0.
"""
ERROR_SLACK = 1.1
NOISE_ALONE = 0.9
"""A run begins in the noisiest tenth of timesteps, where less than 2 % of the latents is signal."""
SEED = 20


@dataclass(frozen=True)
class Measured:
    """Measurements on one law: RMS errors at the assessed number of steps, in the scale of the data (about
    1).

    `interior` compares the last network input with the exact solution there, and `order` is its slope over
    the numbers of steps. `final` compares the output with the law's solution without noise or at the model's
    least noise, whichever is nearer. `apart` is the largest difference from the float64 reference of any
    element, for each network input and the output; `timesteps` the largest of any timestep.
    """

    law: str
    calls: int
    order: float
    interior: float
    final: float
    apart: tuple[float, ...] = ()
    timesteps: float = 0.0
    begins: float = 0.0

    @property
    def trajectory(self) -> float:
        return max(self.apart, default=0.0)

    def first_apart(self, tolerance: float) -> int | None:
        """The call at which the trajectory first passes the tolerance; the number of calls for the output."""
        return next((index for index, one in enumerate(self.apart) if not one <= tolerance), None)


@dataclass(frozen=True)
class Assessment:
    """`measured` has a row for each law, and `expected` the same of the reference: the algorithm's, or, for a
    custom sampler (`algorithm` is None), Euler's errors and the order that it claims.
    """

    algorithm: str | None
    steps: int
    tolerance: float
    measured: tuple[Measured, ...]
    expected: tuple[Measured, ...]
    same_seed_repeats: bool = True
    other_seed_differs: bool = False

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
        """Whether it equals the named algorithm, call by call."""
        return not self.trajectory_problems()

    def problems(self) -> tuple[str, ...]:
        """The problems, one sentence each; empty for a correct sampler."""
        return (
            *self.repetition_problems(),
            *self.trajectory_problems(),
            *self.order_problems(),
            *self.error_problems(),
        )

    def repetition_problems(self) -> tuple[str, ...]:
        problems = [] if self.same_seed_repeats else ["Two runs from the same noise and seed differ."]
        if self.other_seed_differs and self.same_seed_repeats:
            problems.append("Another seed gives other latents, although this sampler must not draw noise.")
        return tuple(problems)

    def trajectory_problems(self) -> tuple[str, ...]:
        """Differences from the algorithm, call by call; empty for a custom sampler."""
        if self.algorithm is None:
            return ()
        problems = []
        for row, wanted in zip(self.measured, self.expected, strict=True):
            where = f"on the {row.law} law at {self.steps} steps"
            if row.calls != wanted.calls:
                problems.append(
                    f"It calls the network {row.calls} times {where}; {self.algorithm} {wanted.calls} times."
                )
                continue
            if row.timesteps > TIMESTEP_TOLERANCE:
                problems.append(
                    f"Its timestep for the network is off by {row.timesteps:.3g} {where}; check that "
                    "timesteps match the noise of the latents, fractions included."
                )
            first = row.first_apart(self.tolerance)
            if first is not None:
                call = "the output" if first == row.calls else f"call {first}"
                problems.append(
                    f"Its latents differ from {self.algorithm} by {row.trajectory:.2g} {where} (at most "
                    f"{self.tolerance:g}), first at {call}: {_likely_cause(first, row.calls)}."
                )
        return tuple(problems)

    def order_problems(self) -> tuple[str, ...]:
        problems = []
        for row, wanted in zip(self.measured, self.expected, strict=True):
            if self.algorithm is not None and row.order < wanted.order - ORDER_SLACK:
                problems.append(f"Its order on the {row.law} law is {row.order:.2f}, not {wanted.order:.2f}.")
            least = FIRST_ORDER if wanted.order <= 1 else wanted.order * ORDER_SHARE
            if self.algorithm is None and row.order < least:
                problems.append(
                    f"Its order on the {row.law} law is {row.order:.2f}; of order {wanted.order:g} at least "
                    f"{least:.2f} is seen."
                )
        return tuple(problems)

    def error_problems(self) -> tuple[str, ...]:
        problems = []
        for row, wanted in zip(self.measured, self.expected, strict=True):
            where = f"on the {row.law} law at {self.steps} steps"
            if row.final > ERROR_SLACK * wanted.final + FLOOR:
                problems.append(
                    f"Its error is {row.final:.2g} {where}; {self.algorithm or YARDSTICK} leaves "
                    f"{wanted.final:.2g}."
                )
            if self.algorithm is None and row.begins < NOISE_ALONE:
                problems.append(
                    f"It begins {row.begins:.0%} up the timesteps {where}, where latents are not noise alone."
                )
        return tuple(problems)


YARDSTICK = "Euler"
"""The baseline for a custom sampler: the simplest algorithm, on `YARDSTICK_LEVELS`."""
YARDSTICK_LEVELS: tuple[dict[str, Any], ...] = ({}, {"use_karras_sigmas": True})
"""On one law Euler is better with even timesteps, on another with Karras levels. A correct first-order
sampler may use either, so the larger of the two errors counts.
"""


def _likely_cause(first: int, calls: int) -> str:
    if first == 0:
        return "check how the first latents are scaled (the network takes alpha x0 + sigma noise)"
    if first == 1:
        return "check the first step, and the prediction_type of scheduler_config"
    if first == calls:
        return "check the last step, and the level where it ends"
    return "check the noise levels, the weights of earlier predictions, and the precision of the latents"


def assess(
    run: Run,
    algorithm: str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    order: float = 1.0,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
    steps: int = 28,
    step_counts: Sequence[int] = STEP_COUNTS,
    tolerance: float = TOLERANCE,
    laws: Sequence[Any] = LAWS,
    seed: int = SEED,
) -> Assessment:
    """Runs the sampler on perfect networks for known laws, and compares it with the exact solution.

    With `algorithm` (and its `parameters`) it also compares with that algorithm's float64 reference; without,
    with Euler's errors and the `order` that the sampler claims. Noise and seed of the runs come from `seed`.
    Takes about a second; no weights are needed. `run` must give the network alpha x0 + sigma noise, as a
    diffusion model takes it; raises NotASampler if it does not run as a sampler. For samplers that draw
    noise, see `moments.assess_moments`.
    """
    judge = _Judge(algorithm, dict(parameters or {}), scheduler_config, steps, tolerance, seed)
    networks = [(Network(law, scheduler_config), first_noise(law, seed)) for law in laws]
    runs = [
        {count: observe(run, network, noise, count, seed) for count in sorted({steps, *step_counts})}
        for network, noise in networks
    ]
    again, other = (observe(run, *networks[0], steps, which).output for which in (seed, seed ^ 1))
    once = runs[0][steps].output
    return Assessment(
        algorithm,
        steps,
        tolerance,
        tuple(judge.measured(law, by_count, step_counts) for law, by_count in zip(laws, runs, strict=True)),
        tuple(judge.expected(law, tuple(step_counts), order) for law in laws),
        bool(np.array_equal(once, again)),
        not np.array_equal(once, other),
    )


def compare_predictions(
    run: Run,
    kinds: Sequence[str],
    *,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
    steps: int = 28,
    laws: Sequence[Any] = LAWS,
    seed: int = SEED,
) -> dict[str, float]:
    """For each prediction_type except the first of `kinds`, the largest difference from a run with the first,
    at any step. A correct sampler has only rounding errors, because the networks are equivalent.
    """
    worst = dict.fromkeys(kinds[1:], 0.0)
    for law in laws:
        noise = first_noise(law, seed)
        traces = {
            kind: observe(
                run, Network(law, {**scheduler_config, "prediction_type": kind}), noise, steps, seed
            )
            for kind in kinds
        }
        for kind, difference in worst.items():
            worst[kind] = max(difference, *apart(traces[kind], traces[kinds[0]]))
    return worst


@dataclass(frozen=True)
class _Judge:
    """The settings of one assessment, and its measurements."""

    algorithm: str | None
    parameters: dict[str, Any]
    config: Mapping[str, Any]
    steps: int
    tolerance: float
    seed: int

    def measured(self, law: Law, runs: Mapping[int, Trace], step_counts: Sequence[int]) -> Measured:
        mine = runs[self.steps]
        row = _errors(law, self.config, self.seed, mine, {count: runs[count] for count in step_counts})
        if self.algorithm is None:
            return row
        start = first_latents(mine, law, self.config, self.seed)
        wanted = trace(
            self.algorithm,
            law.denoised,
            start,
            self.steps,
            parameters=self.parameters,
            scheduler_config=self.config,
        )
        off = max(abs(a - b) for a, b in zip(mine.timesteps, wanted.timesteps, strict=False))
        return replace(row, apart=apart(mine, wanted), timesteps=off)

    def expected(self, law: Any, step_counts: tuple[int, ...], order: float) -> Measured:
        def of(algorithm: str, parameters: Mapping[str, Any]) -> Measured:
            given, config = tuple(parameters.items()), _Config(self.config)
            return _expected(law, algorithm, given, config, self.seed, self.steps, step_counts)

        if self.algorithm:
            return of(self.algorithm, self.parameters)
        rows = [of(YARDSTICK, levels) for levels in YARDSTICK_LEVELS]
        return replace(max(rows, key=lambda row: row.final), order=order)


def first_latents(mine: Trace, law: Law, config: Mapping[str, Any], seed: int) -> Array:
    """The nearer of two correct starts: the noise itself, or the noise scaled by the first sigma."""
    first, noise = float(Network(law, config).schedule.ratio(mine.timesteps[0])), first_noise(law, seed)
    starts = (noise, noise * first / math.hypot(1.0, first))
    return min(starts, key=lambda start: float(np.abs(mine.inputs[0] - start).max()))


def apart(mine: Trace, wanted: Trace) -> tuple[float, ...]:
    """The largest difference at each call and of the output; infinite if the numbers of calls differ."""
    if len(mine.inputs) != len(wanted.inputs):
        return (math.inf,)
    pairs = [*zip(mine.inputs, wanted.inputs, strict=True), (mine.output, wanted.output)]
    return tuple(float(np.abs(one - other).max()) for one, other in pairs)


def _errors(
    law: Law, config: Mapping[str, Any], seed: int, mine: Trace, by_count: Mapping[int, Trace]
) -> Measured:
    interiors = {count: _interior(law, config, seed, run) for count, run in by_count.items()}
    fitted = [(math.log(count), math.log(error)) for count, error in interiors.items() if error > FLOOR]
    order = -_slope(fitted) if len(fitted) > 1 else math.inf
    schedule = Network(law, config).schedule
    start = float(schedule.ratio(mine.timesteps[0]))
    z = first_latents(mine, law, config, seed) * math.hypot(1.0, start)
    ends = (0.0, float(schedule.ratio(0)))
    final = min(_rms(mine.output - law.solution(z, start, end) / math.hypot(1.0, end)) for end in ends)
    return Measured(
        law.name,
        len(mine.inputs),
        order,
        _interior(law, config, seed, mine),
        final,
        begins=mine.timesteps[0] / (len(schedule.logs) - 1),
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    across, up = zip(*points, strict=True)
    return float(np.polyfit(np.array(across), np.array(up), 1)[0])


def _interior(law: Law, config: Mapping[str, Any], seed: int, run: Trace) -> float:
    schedule = Network(law, config).schedule
    start, end = float(schedule.ratio(run.timesteps[0])), float(schedule.ratio(run.timesteps[-1]))
    z = first_latents(run, law, config, seed) * math.hypot(1.0, start)
    return _rms(run.inputs[-1] - law.solution(z, start, end) / math.hypot(1.0, end))


class _Config(dict[str, Any]):
    """A scheduler config that can be a key of a cache."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted((key, repr(value)) for key, value in self.items())))


@lru_cache(maxsize=128)
def _expected(
    law: Any,
    algorithm: str,
    parameters: tuple[tuple[str, Any], ...],
    config: _Config,
    seed: int,
    steps: int,
    step_counts: tuple[int, ...],
) -> Measured:
    traces = {
        count: trace(
            algorithm,
            law.denoised,
            first_noise(law, seed),
            count,
            parameters=dict(parameters),
            scheduler_config=config,
        )
        for count in {steps, *step_counts}
    }
    return _errors(law, config, seed, traces[steps], {count: traces[count] for count in step_counts})


def first_noise(law: Law, seed: int) -> Array:
    """The first noise, in float32, so that a candidate starts exactly where the reference does."""
    return noise_of(shape_of(law), seed)


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(array**2)))
