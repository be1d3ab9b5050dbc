"""Each sampler is measured once; each requirement judges its part of the measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from certify.candidate.candidate import Candidate
from certify.measure.checks import Broken, NotEvidenced, requirement
from certify.measure.context import Measurement
from certify.measure.samplers import STEPS, Measured, Once, Trial
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.plugin import RemotePlugin
from reference_engine.oracle import Assessment

# The prediction types differ only by rounding, which is about 1e-6.
PREDICTION_TOLERANCE = 1e-4


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
                f"samplers: {trial.sampler.name} ran alone, {calls} calls of the judge's network in "
                f"{seconds:.1f} s; whether the plugin generates images with it was not measured"
            )
    failures = [f"{row.sampler.name}: {row.does_not_run}" for row in samplers if row.does_not_run]
    if failures:
        evidence.text("Failures", "\n".join(failures))
        raise Broken(failures[0])
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
    for name, assessment in _by_trajectory(deterministic):
        for measured, expected in zip(assessment.measured, assessment.expected, strict=True):
            evidence.value(f"{name}: order, {measured.law}", _plain(measured.order))
            evidence.value(f"{name}: order expected, {measured.law}", _plain(expected.order))
    _judge(deterministic, evidence, lambda row: row.order_problems)


@requirement("sampler.error")
def test_the_final_error_is_small(samplers: list[Trial], evidence: EvidenceBox) -> None:
    deterministic = [row for row in samplers if not row.sampler.draws_noise]
    for name, assessment in _by_trajectory(deterministic):
        for measured, expected in zip(assessment.measured, assessment.expected, strict=True):
            evidence.value(f"{name}: error, {measured.law}", _plain(measured.final))
            evidence.value(f"{name}: error expected, {measured.law}", _plain(expected.final))
    _judge(deterministic, evidence, lambda row: row.error_problems)


@requirement("sampler.moments")
def test_the_output_has_the_expected_moments(samplers: list[Trial], evidence: EvidenceBox) -> None:
    stochastic = [row for row in samplers if row.sampler.draws_noise]
    for name, measured in _measured(stochastic):
        if (moments := measured.by_moments) is None:
            continue
        for what in ("mean", "deviation", "kurtosis"):
            evidence.value(f"{name}: {what}", _plain(getattr(moments.output, what)))
            evidence.value(f"{name}: {what} expected", _plain(getattr(moments.expected, what)))
    _judge(stochastic, evidence, lambda row: row.moment_problems)


def _judge(
    trials: Sequence[Trial], evidence: EvidenceBox, problems: Callable[[Measured], tuple[str, ...]]
) -> None:
    """Raises Broken for the first problem and records all of them; what was not measured is never a pass."""
    messages = [f"{name}: {problem}" for name, row in _measured(trials) for problem in problems(row)]
    if messages:
        evidence.text("Problems", "\n".join(messages))
        raise Broken(messages[0])
    _expect_measured(trials)


def _measured(trials: Sequence[Trial]) -> list[tuple[str, Measured]]:
    return [(row.sampler.name, row.measured) for row in trials if row.measured is not None]


def _by_trajectory(trials: Sequence[Trial]) -> list[tuple[str, Assessment]]:
    rows = [(name, measured.by_trajectory) for name, measured in _measured(trials)]
    return [(name, assessment) for name, assessment in rows if assessment is not None]


def _expect_measured(trials: Sequence[Trial]) -> None:
    for row in trials:
        if row.does_not_run:
            raise NotEvidenced(f"{row.sampler.name} does not run; see sampler.runs.")
        if row.trouble is not None:
            raise row.trouble


def _expect_repeating(trials: Sequence[Trial]) -> None:
    for name, measured in _measured(trials):
        if not measured.repeats:
            raise NotEvidenced(
                f"{name} does not repeat, so its runs cannot be compared; see sampler.repeats."
            )


def _prediction_problems(row: Measured) -> tuple[str, ...]:
    return tuple(
        f"With prediction_type {kind} the latents differ by {apart:.2g} from those of the first "
        f"prediction type (allowed: {PREDICTION_TOLERANCE:g}). Check how the sampler reads "
        "prediction_type from scheduler_config."
        for kind, apart in row.predictions.items()
        if not apart <= PREDICTION_TOLERANCE
    )


def _show_trajectory(name: str, assessment: Assessment, evidence: EvidenceBox) -> None:
    evidence.value(
        f"{name}: largest difference from {assessment.algorithm}", _plain(assessment.trajectory_error)
    )
    worst = max(assessment.measured, key=lambda row: row.trajectory)
    if math.isfinite(worst.trajectory):
        points = [(float(call), apart) for call, apart in enumerate(worst.apart)]
        evidence.curve(
            f"{name}: difference by call",
            "call",
            "largest difference",
            points,
            f"From the float64 reference on the {worst.law} law at {STEPS} steps; the last is the output.",
        )


def _plain(number: float) -> float | str:
    """Rounded to three digits. The order is infinite where the sampler is exact except for rounding, and a
    difference is infinite where the numbers of calls differ.
    """
    return float(f"{number:.3g}") if math.isfinite(number) else str(number)
