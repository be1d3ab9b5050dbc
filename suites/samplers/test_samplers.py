"""One measurement of each sampler serves all requirements; each judges its own part."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from certify.candidate import Candidate
from certify.checks import Broken, NotEvidenced, requirement
from certify.context import Measurement
from certify.evidence import EvidenceBox
from certify.host.plugin import RemotePlugin
from certify.samplers import STEPS, Measured, Once, Trial
from reference_engine.oracle import Assessment

PREDICTION_TOLERANCE = 1e-4
"""The prediction types differ by rounding alone, which is some 1e-6."""


@pytest.fixture(scope="module")
def once() -> Once:
    return Once()


@pytest.fixture
def samplers(
    once: Once,
    candidate: Candidate,
    plugin: RemotePlugin,
    measurement: Measurement,
    note: Callable[[str], None],
) -> list[Trial]:
    return once.get(candidate.manifest.samplers, plugin, measurement.seed, note)


@requirement("sampler.runs")
def test_every_sampler_runs_to_its_end(
    samplers: list[Trial], evidence: EvidenceBox, claim: Callable[[str], None]
) -> None:
    for trial in samplers:
        if trial.measured is not None:
            calls, seconds = trial.measured.calls, trial.measured.seconds
            evidence.value(f"{trial.sampler.name}: calls of the network", calls)
            claim(
                f"samplers: {trial.sampler.name} ran by itself, {calls} calls of the judge's network in "
                f"{seconds:.1f} s; whether images are made with it was not seen"
            )
    told = [f"{row.sampler.name}: {row.does_not_run}" for row in samplers if row.does_not_run]
    if told:
        evidence.text("What does not run", "\n".join(told))
        raise Broken(told[0])
    _expect_measured(samplers)


@requirement("sampler.repeats")
def test_the_seed_and_nothing_else_decides(samplers: list[Trial], evidence: EvidenceBox) -> None:
    _judge(samplers, evidence, lambda row: row.repetition_problems)


@requirement("sampler.predictions")
def test_every_prediction_type_leads_to_the_same_latents(
    samplers: list[Trial], evidence: EvidenceBox
) -> None:
    several = [row for row in samplers if len(row.sampler.prediction_types) > 1]
    for name, measured in _measured(several):
        for kind, apart in measured.predictions.items():
            evidence.value(f"{name}: {kind} from the first type", _plain(apart))
    _expect_repeating(several)
    _judge(several, evidence, _prediction_problems)


@requirement("sampler.matches-algorithm")
def test_the_trajectory_is_that_of_the_algorithm(samplers: list[Trial], evidence: EvidenceBox) -> None:
    named = [row for row in samplers if row.sampler.algorithm is not None]
    for name, measured in _measured(named):
        if measured.by_trajectory is not None:
            _show_trajectory(name, measured.by_trajectory, evidence)
        elif measured.by_moments is not None and measured.by_moments.drawn is not None:
            evidence.value(f"{name}: worst step error", _plain(measured.by_moments.drawn.trajectory))
    _expect_repeating([row for row in named if row.sampler.draws_noise])
    _judge(named, evidence, lambda row: row.trajectory_problems)


@requirement("sampler.order")
def test_errors_shrink_with_steps_as_the_order_says(samplers: list[Trial], evidence: EvidenceBox) -> None:
    deterministic = [row for row in samplers if not row.sampler.draws_noise]
    for name, found in _by_trajectory(deterministic):
        for mine, wanted in zip(found.measured, found.expected, strict=True):
            evidence.value(f"{name}: order, {mine.law}", _plain(mine.order))
            evidence.value(f"{name}: order expected, {mine.law}", _plain(wanted.order))
    _judge(deterministic, evidence, lambda row: row.order_problems)


@requirement("sampler.error")
def test_the_final_error_is_small(samplers: list[Trial], evidence: EvidenceBox) -> None:
    deterministic = [row for row in samplers if not row.sampler.draws_noise]
    for name, found in _by_trajectory(deterministic):
        for mine, wanted in zip(found.measured, found.expected, strict=True):
            evidence.value(f"{name}: error, {mine.law}", _plain(mine.final))
            evidence.value(f"{name}: error to compare with, {mine.law}", _plain(wanted.final))
    _judge(deterministic, evidence, lambda row: row.error_problems)


@requirement("sampler.moments")
def test_what_comes_out_has_the_moments_that_it_should(samplers: list[Trial], evidence: EvidenceBox) -> None:
    stochastic = [row for row in samplers if row.sampler.draws_noise]
    for name, measured in _measured(stochastic):
        if (found := measured.by_moments) is None:
            continue
        for what in ("mean", "deviation", "kurtosis"):
            evidence.value(f"{name}: {what}", _plain(getattr(found.output, what)))
            evidence.value(f"{name}: {what} to compare with", _plain(getattr(found.expected, what)))
    _judge(stochastic, evidence, lambda row: row.moment_problems)


def _judge(
    trials: Sequence[Trial], evidence: EvidenceBox, problems: Callable[[Measured], tuple[str, ...]]
) -> None:
    """Broken for the first problem, all of them as evidence; what was not measured is no pass."""
    told = [f"{name}: {problem}" for name, row in _measured(trials) for problem in problems(row)]
    if told:
        evidence.text("What is wrong", "\n".join(told))
        raise Broken(told[0])
    _expect_measured(trials)


def _measured(trials: Sequence[Trial]) -> list[tuple[str, Measured]]:
    return [(row.sampler.name, row.measured) for row in trials if row.measured is not None]


def _by_trajectory(trials: Sequence[Trial]) -> list[tuple[str, Assessment]]:
    rows = [(name, measured.by_trajectory) for name, measured in _measured(trials)]
    return [(name, found) for name, found in rows if found is not None]


def _expect_measured(trials: Sequence[Trial]) -> None:
    for row in trials:
        if row.does_not_run:
            raise NotEvidenced(f"{row.sampler.name} does not run: see sampler.runs.")
        if row.trouble is not None:
            raise row.trouble


def _expect_repeating(trials: Sequence[Trial]) -> None:
    for name, measured in _measured(trials):
        if not measured.repeats:
            raise NotEvidenced(f"{name} does not repeat, so runs can't be compared: see sampler.repeats.")


def _prediction_problems(row: Measured) -> tuple[str, ...]:
    return tuple(
        f"With {kind} its latents are {apart:.2g} apart from those of the first prediction type (at most "
        f"{PREDICTION_TOLERANCE:g}); see how scheduler_config's prediction_type is read."
        for kind, apart in row.predictions.items()
        if not apart <= PREDICTION_TOLERANCE
    )


def _show_trajectory(name: str, found: Assessment, evidence: EvidenceBox) -> None:
    evidence.value(f"{name}: largest difference from {found.algorithm}", _plain(found.trajectory_error))
    worst = max(found.measured, key=lambda row: row.trajectory)
    if math.isfinite(worst.trajectory):
        points = [(float(call), apart) for call, apart in enumerate(worst.apart)]
        evidence.curve(
            f"{name}: difference by call",
            "call",
            "largest difference",
            points,
            f"From the float64 reference on the {worst.law} law at {STEPS} steps; last is the output.",
        )


def _plain(number: float) -> float | str:
    """Three digits. Infinite is the order of a sampler that is exact to rounding, and a difference of calls
    that are not as many.
    """
    return float(f"{number:.3g}") if math.isfinite(number) else str(number)
