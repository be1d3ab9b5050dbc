"""Measures the samplers that a plugin offers: each runs in the worker, with networks that run on the host.

The networks are exact for data distributions that are drawn for the run, so only the host knows the right
result. See `reference_engine.oracle`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from certify.candidate.manifest_samplers import Sampler
from certify.measure.randomness import Draws
from certify.sandbox.host.faults import CandidateFault, PluginError, Unreachable
from certify.sandbox.host.plugin import RemotePlugin
from reference_engine import oracle

STEPS = 28
# The fewest and the most steps of a request; more are used only for the order of convergence.
ENDS = (5, 50)


@dataclass(frozen=True)
class Elsewhere:
    """The same sampler with a number of steps and a latent shape that were drawn for this run. A sampler that
    recognises the measurement is right only there. `assessment` is for a deterministic sampler.
    """

    steps: int
    shape: tuple[int, ...]
    repeats: bool
    assessment: oracle.Assessment | None = None

    @property
    def where(self) -> str:
        return f"with latents of the shape {self.shape} at {self.steps} steps"


@dataclass(frozen=True)
class Measured:
    """One sampler: `by_trajectory` where it is deterministic, `by_moments` where it draws noise; and
    `predictions` by prediction_type, the largest difference from a run with the first one.
    """

    by_trajectory: oracle.Assessment | None
    by_moments: oracle.MomentAssessment | None
    predictions: dict[str, float]
    calls: int
    seconds: float
    elsewhere: Elsewhere | None = None

    @property
    def repeats(self) -> bool:
        assessment = self.by_trajectory or self.by_moments
        return assessment is not None and assessment.same_seed_repeats and not self._unlike_elsewhere

    @property
    def repetition_problems(self) -> tuple[str, ...]:
        assessment = self.by_trajectory or self.by_moments
        return (
            *(assessment.repetition_problems() if assessment is not None else ()),
            *self._unlike_elsewhere,
        )

    @property
    def _unlike_elsewhere(self) -> tuple[str, ...]:
        if self.elsewhere is None or self.elsewhere.repeats:
            return ()
        return (f"Two runs from the same noise and seed differ {self.elsewhere.where}.",)

    @property
    def trajectory_problems(self) -> tuple[str, ...]:
        assessment = self.by_trajectory or self.by_moments
        problems = assessment.trajectory_problems() if assessment is not None else ()
        return problems or self._elsewhere(lambda assessment: assessment.trajectory_problems())

    def _elsewhere(self, problems: Callable[[oracle.Assessment], tuple[str, ...]]) -> tuple[str, ...]:
        """Problems elsewhere, reported only where the first measurement was right."""
        if self.elsewhere is None or self.elsewhere.assessment is None:
            return ()
        return tuple(
            f"{problem} That is {self.elsewhere.where}." for problem in problems(self.elsewhere.assessment)
        )

    @property
    def order_problems(self) -> tuple[str, ...]:
        return self.by_trajectory.order_problems() if self.by_trajectory is not None else ()

    @property
    def error_problems(self) -> tuple[str, ...]:
        if self.by_trajectory is None:
            return ()
        problems = self.by_trajectory.error_problems()
        own_kind = self.by_trajectory.algorithm is None
        return problems or (
            self._elsewhere(lambda assessment: assessment.error_problems()) if own_kind else ()
        )

    @property
    def moment_problems(self) -> tuple[str, ...]:
        return self.by_moments.moment_problems() if self.by_moments is not None else ()


def measure(plugin: RemotePlugin, sampler: Sampler, draws: Draws) -> Measured:
    """Raises NotASampler or PluginError where it does not run, and what `RemotePlugin.sample` raises."""
    run, started = _Counted(plugin, sampler), time.monotonic()
    laws, law = oracle.draw_laws(draws.entropy()), oracle.draw_law(draws.entropy())
    seed, kinds = draws.seed(), sampler.prediction_types
    config = {**oracle.SD_SCHEDULE, "prediction_type": kinds[0]}
    options: dict[str, Any] = {"parameters": sampler.parameters, "scheduler_config": config, "seed": seed}
    for steps in ENDS:
        oracle.observe(run, oracle.Network(laws[0], config), oracle.first_noise(laws[0], seed), steps, seed)
    by_trajectory = by_moments = None
    away = Away(draws, sampler)
    if sampler.draws_noise:
        by_moments = oracle.assess_moments(run, sampler.algorithm, law=law, steps=STEPS, **options)
        elsewhere = away.twice(run, config, seed)
    else:
        order = float(sampler.order or 1)
        by_trajectory = oracle.assess(
            run, sampler.algorithm, order=order, laws=laws, steps=STEPS, step_counts=away.counts, **options
        )
        elsewhere = away.assess(run, order, options)
    apart = {}
    if len(kinds) > 1:
        apart = oracle.compare_predictions(run, kinds, laws=laws, steps=STEPS, seed=seed)
        there = oracle.compare_predictions(run, kinds, laws=away.laws, steps=away.steps, seed=seed)
        apart = {kind: max(here, there[kind]) for kind, here in apart.items()}
    return Measured(by_trajectory, by_moments, apart, run.calls, time.monotonic() - started, elsewhere)


class Away:
    """A drawn number of steps, latent shape and data distributions; for the order of convergence, step
    `counts` near those of the oracle."""

    def __init__(self, draws: Draws, sampler: Sampler) -> None:
        random = draws.random
        self._sampler = sampler
        self.shape = (random.randint(1, 2), 4, random.randint(5, 14), random.randint(5, 14))
        self.laws = oracle.draw_laws(draws.entropy(), self.shape)
        # For a sampler without a named algorithm, the error is known at STEPS only.
        self.steps = STEPS if sampler.algorithm is None else random.randint(ENDS[0] + 1, ENDS[1] - 1)
        fewest, *between, most = oracle.STEP_COUNTS
        self.counts = (fewest, *(count + random.randint(-5, 5) for count in between), most)

    def twice(self, run: oracle.Run, config: dict[str, Any], seed: int) -> Elsewhere:
        """Two runs of a sampler that draws noise."""
        law = self.laws[0]
        noise = oracle.first_noise(law, seed)
        once, again = (
            oracle.observe(run, oracle.Network(law, config), noise, self.steps, seed).output for _ in range(2)
        )
        return Elsewhere(self.steps, self.shape, bool((once == again).all()))

    def assess(self, run: oracle.Run, order: float, options: dict[str, Any]) -> Elsewhere:
        assessment = oracle.assess(
            run,
            self._sampler.algorithm,
            order=order,
            laws=self.laws,
            steps=self.steps,
            step_counts=(self.steps,),
            **options,
        )
        return Elsewhere(self.steps, self.shape, assessment.same_seed_repeats, assessment)


class _Counted:
    """The plugin's sampler as a function for the oracle; `calls` counts the network's calls over all runs."""

    def __init__(self, plugin: RemotePlugin, sampler: Sampler) -> None:
        self._plugin, self._sampler = plugin, sampler
        self.calls = 0

    def __call__(self, network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        def counted(latents: Any, timestep: float) -> Any:
            self.calls += 1
            return network(latents, timestep)

        return self._plugin.sample(self._sampler.entry, counted, noise, steps, seed, network.scheduler_config)


@dataclass
class Trial:
    """A sampler's measurement, or why there is none."""

    sampler: Sampler
    measured: Measured | None = None
    trouble: Exception | None = None

    @property
    def does_not_run(self) -> str:
        """How the sampler fails, or an empty text."""
        if isinstance(self.trouble, PluginError):
            return f"it raised {self.trouble.error_type}: {self.trouble.message}"
        return str(self.trouble) if isinstance(self.trouble, oracle.NotASampler) else ""


@dataclass
class Once:
    """The samplers of this run; each is measured once."""

    trials: list[Trial] = field(default_factory=list)

    def get(
        self, samplers: tuple[Sampler, ...], plugin: RemotePlugin, root: str, note: Callable[[str], None]
    ) -> list[Trial]:
        for sampler in samplers[len(self.trials) :]:
            note(f"sampler {sampler.name}")
            trial = Trial(sampler)
            try:
                trial.measured = measure(plugin, sampler, Draws(root, "sampler", sampler.name))
            except (CandidateFault, Unreachable, oracle.NotASampler) as trouble:
                trial.trouble = trouble
            self.trials.append(trial)
        return self.trials
