"""A sampler with a model's noise schedule, and a run of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .noise import Level, NoiseSchedule
from .solvers import STAY, Combination, NetworkCall, Solver


@dataclass(frozen=True, eq=False)
class Sampler:
    """An algorithm on a model's noise schedule. It holds no state of a run, so threads may share it.

    `grid(steps)` gives the levels of a run; `starts_below_one` is for algorithms whose users expect the first
    latents to be sigma x noise and not noise alone (at the first level the two differ by 0.2 %).
    """

    name: str
    noise: NoiseSchedule
    solver: Solver
    grid: Callable[[int], tuple[Level, ...]]
    starts_below_one: bool = False

    def levels(self, steps: int, strength: float = 1.0) -> tuple[Level, ...]:
        """The levels that a run visits; the last is where it ends, and no call is made there."""
        if not 0.0 <= strength <= 1.0 or steps < 1:
            raise ValueError(f"steps {steps} must be 1 or more, strength {strength} from 0 to 1.")
        taken = min(steps, int(steps * strength + 1e-9))
        if strength > 0:
            taken = max(taken, 1)
        return self.grid(steps)[steps - taken :]

    def schedule(self, steps: int, strength: float = 1.0) -> Schedule:
        """A fresh run of `steps` steps. With `strength` below 1 it runs only that share of them, from latents
        of `Schedule.noised`; with 0 there is nothing to run.
        """
        levels = self.levels(steps, strength)
        return Schedule(levels[0], self.solver.plan(levels) if len(levels) > 1 else (), self)


class Schedule:
    """One run: make it, take `initial` or `noised` latents, then for every index of `timesteps` call the
    network on `network_input` and give its output to `step`. The last step returns the image's latents.

    All maths is in the latents' dtype, on their device; the coefficients were computed in float64.
    """

    def __init__(self, start: Level, calls: Sequence[NetworkCall], sampler: Sampler) -> None:
        self._start, self._calls, self._sampler = start, calls, sampler
        self.timesteps: tuple[float, ...] = tuple(
            call.level.timestep for call in calls if call.level.timestep is not None
        )
        """The network's timestep at each call; fractional if the levels are."""
        used = [combination for call in calls for combination in (call.move, call.correction) if combination]
        longest = max((len(combination.weights) for combination in used), default=0)
        self._history: deque[Any] = deque(maxlen=longest)
        self._anchor: Any = None

    def initial(self, noise: Any) -> Any:
        """The first latents of a run at full strength, from noise with standard deviation 1."""
        return noise * self._start.sigma if self._sampler.starts_below_one else noise

    def noised(self, clean: Any, noise: Any) -> Any:
        """An image's latents with as much noise as the run begins with."""
        if not self._calls:
            return clean
        return self._start.alpha * clean + self._start.sigma * noise

    def network_input(self, latents: Any, index: int) -> Any:
        """The network's input at call `index`. Latents are already in the network's scale."""
        return latents

    def step(self, model_output: Any, index: int, latents: Any, generator: Any = None) -> Any:
        """The latents for call `index` + 1, or the image's after the last call.

        Calls must come in order. Fresh noise is drawn on the CPU in float32, from `generator` or, for a
        batch, from a list of generators with one for each image.
        """
        call = self._calls[index]
        self._history.appendleft(self._prediction(model_output.to(latents.dtype), call.level, latents))
        if call.correction is not None:
            latents = self._combined(call.correction, self._anchor)
        self._anchor = latents
        moved = self._combined(call.move, latents)
        if call.move.noise > 0:
            moved = moved + call.move.noise * _fresh(latents, generator)
        return moved

    def _prediction(self, output: Any, level: Level, latents: Any) -> Any:
        """The network's output as this solver's kind of prediction."""
        alpha, sigma = level.alpha, level.sigma
        kind = self._sampler.noise.prediction_type
        denoised = self._sampler.solver.history == "denoised" or alpha == 0.0
        if kind == "epsilon":
            return (latents - sigma * output) / alpha if denoised else output
        if kind == "v_prediction":
            return alpha * latents - sigma * output if denoised else sigma * latents + alpha * output
        return output if denoised else (latents - alpha * output) / sigma

    def _combined(self, combination: Combination, latents: Any) -> Any:
        if combination is STAY:
            return latents
        total = latents * combination.keep
        for weight, prediction in zip(combination.weights, self._history, strict=False):
            if weight:
                total.add_(prediction, alpha=weight)
        return total


def _fresh(latents: Any, generator: Any) -> Any:
    import torch

    if isinstance(generator, (list, tuple)):
        rows = [torch.randn((1, *latents.shape[1:]), generator=one) for one in generator]
        drawn = torch.cat(rows)
    else:
        drawn = torch.randn(latents.shape, generator=generator)
    return drawn.to(latents.device, latents.dtype)
