"""A perfect network for a known law of data, with a diffusion model's interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from ..samplers.noise import PREDICTION_TYPES
from ..samplers.schedule import Sampler
from .laws import Array, Law
from .references import SD_SCHEDULE, RatioSchedule, Trace


class NotASampler(ValueError):
    """The callable is not a sampler: it does not call the network, or calls it with invalid latents."""


MOST_CALLS_A_STEP = 12
"""More than any known method needs; more calls count as an endless run."""
TIMESTEP_SLACK = 1e-3
"""For timesteps that were computed in float32."""


class Network:
    """`network(latents, timestep)` predicts what the config's prediction_type says, from E[x0 | latents].

    It takes and returns torch tensors or NumPy arrays, computes in float64, and returns the type and
    precision of its input. Like a real network it derives the noise level only from the timestep, which may
    be fractional. `scheduler_config` is the model's, as a sampler may
    read it. Every call is kept in `timesteps` and `inputs`.
    """

    def __init__(self, law: Law, scheduler_config: Mapping[str, Any] = SD_SCHEDULE) -> None:
        self.law = law
        self.scheduler_config = dict(scheduler_config)
        self.schedule = RatioSchedule(scheduler_config)
        self._kind = PREDICTION_TYPES[scheduler_config.get("prediction_type", "epsilon")]
        self.timesteps: list[float] = []
        self.inputs: list[Array] = []
        self._shape: tuple[int, ...] = ()
        self._most_calls = 0

    def begin(self, shape: tuple[int, ...], steps: int) -> None:
        """Forgets earlier calls. From now on latents of another shape, latents that are not finite, timesteps
        outside the model's, and endless calls raise NotASampler.
        """
        self.timesteps, self.inputs = [], []
        self._shape, self._most_calls = shape, MOST_CALLS_A_STEP * (steps + 1)

    def __call__(self, latents: Any, timestep: Any) -> Any:
        x, time = as_array(latents), float(timestep)
        if self._shape:
            self._check(x, time)
        self.timesteps.append(time)
        self.inputs.append(x)
        return in_kind(self.predict(x, time), latents)

    def _check(self, x: Array, timestep: float) -> None:
        call = len(self.inputs)
        if call == self._most_calls:
            raise NotASampler(f"The sampler called the network {call} times without end.")
        last = len(self.schedule.logs) - 1
        if not -TIMESTEP_SLACK <= timestep <= last + TIMESTEP_SLACK:
            raise NotASampler(f"The timestep of call {call} is {timestep:g}; the model has 0 to {last}.")
        check_latents(x, self._shape, f"The latents of call {call}")

    def denoised(self, x: Array, timestep: float) -> Array:
        """E[x0] for a network input."""
        ratio = float(self.schedule.ratio(timestep))
        return self.law.denoised(x * np.sqrt(1 + ratio**2), ratio)

    def predict(self, x: Array, timestep: float) -> Array:
        ratio = float(self.schedule.ratio(timestep))
        alpha = 1 / np.sqrt(1 + ratio**2)
        clean = self.denoised(x, timestep)
        if self._kind == "sample":
            return clean
        noise = (x - alpha * clean) / (ratio * alpha)
        answer = noise if self._kind == "epsilon" else alpha * noise - ratio * alpha * clean
        return np.asarray(answer)


Run = Callable[[Network, Any, int, int], Any]
"""A sampler under test: `run(network, noise, steps, seed)` takes the network, the run's first noise (a
float32 NumPy array, standard deviation 1), the number of steps and a seed for any further noise, and returns
the latents of the image, as an array or a tensor. See `on_tensors` for one that works with torch.
"""


def on_tensors(run: Run) -> Run:
    """A sampler that takes its noise as a float32 torch tensor; the network returns tensors for tensors."""

    @wraps(run)
    def run_on_tensors(network: Network, noise: Any, steps: int, seed: int) -> Any:
        import torch

        return run(network, torch.as_tensor(noise), steps, seed)

    return run_on_tensors


def run_of_sampler(sampler: Sampler) -> Run:
    """Runs a sampler of this engine as the render engine does."""

    @on_tensors
    def run(network: Network, noise: Any, steps: int, seed: int) -> Any:
        import torch

        schedule, generator = sampler.schedule(steps), torch.Generator().manual_seed(seed)
        latents = schedule.initial(noise)
        for index, timestep in enumerate(schedule.timesteps):
            output = network(schedule.network_input(latents, index), timestep)
            latents = schedule.step(output, index, latents, generator)
        return latents

    return run


def run_of_diffusers(scheduler: Any, **step_arguments: Any) -> Run:
    """Runs a diffusers scheduler as its pipelines do. Each run has a fresh copy, because schedulers keep
    state.
    """

    @on_tensors
    def run(network: Network, noise: Any, steps: int, seed: int) -> Any:
        import inspect

        import torch

        fresh = type(scheduler).from_config(scheduler.config)
        extra = dict(step_arguments)
        if "generator" in inspect.signature(fresh.step).parameters:
            extra["generator"] = torch.Generator().manual_seed(seed)
        fresh.set_timesteps(steps)
        latents = noise * fresh.init_noise_sigma
        for timestep in fresh.timesteps:
            output = network(fresh.scale_model_input(latents, timestep), timestep)
            latents = fresh.step(output, timestep, latents, **extra, return_dict=False)[0]
        return latents

    return run


def observe(run: Run, network: Network, noise: Array, steps: int, seed: int) -> Trace:
    """The network inputs of a run, and its output.

    Raises NotASampler if the network was not called, or latents do not have the noise's shape or are not
    finite.
    """
    network.begin(noise.shape, steps)
    output = as_array(run(network, noise.astype(np.float32), steps, seed))
    if not network.inputs:
        raise NotASampler("The sampler did not call the network.")
    check_latents(output, noise.shape, "The returned latents")
    return Trace(tuple(network.timesteps), tuple(network.inputs), output)


def noise_of(shape: tuple[int, ...], seed: int) -> Array:
    """The first noise of a run, from a separate random stream, because samplers draw from the same seed."""
    random = np.random.default_rng((seed, 1))
    return random.standard_normal(shape).astype(np.float32).astype(np.float64)


def check_latents(latents: Array, shape: tuple[int, ...], which: str) -> None:
    """Raises NotASampler if the latents do not have this shape or are not finite."""
    if latents.shape != shape:
        raise NotASampler(f"{which} have the shape {latents.shape}; the noise has {shape}.")
    if not np.isfinite(latents).all():
        raise NotASampler(f"{which} are not finite numbers.")


def as_array(latents: Any) -> Array:
    """A copy in float64 NumPy of a tensor or array; raises NotASampler for anything else."""
    if isinstance(latents, np.ndarray):
        return latents.astype(np.float64)
    if not hasattr(latents, "detach"):
        raise NotASampler(f"Latents are an array or a tensor, not {type(latents).__name__}.")
    return np.array(latents.detach().double().cpu().numpy())


def in_kind(answer: Array, like: Any) -> Any:
    """`answer` in the type and precision of the array or tensor `like`."""
    if isinstance(like, np.ndarray):
        with np.errstate(over="ignore"):
            return answer.astype(like.dtype)
    import torch

    return torch.from_numpy(answer).to(like.device, like.dtype)
