"""A network that is perfect for a known law of data, behind a diffusion model's interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..samplers.noise import PREDICTION_TYPES
from ..samplers.schedule import Sampler
from .laws import Array, Law
from .references import SD_SCHEDULE, Schedule, Trace


class Network:
    """`network(latents, timestep)` predicts what the config's prediction_type says, from E[x0 | latents].

    It takes and returns torch tensors or NumPy arrays, computes in float64, and answers in the type and
    precision that it was asked in. It knows no more of a sampler than a real network does: the timestep
    alone, which may be fractional, tells it the noise. Every call is kept in `timesteps` and `inputs`.
    """

    def __init__(self, law: Law, scheduler_config: Mapping[str, Any] = SD_SCHEDULE) -> None:
        self.law = law
        self.schedule = Schedule(scheduler_config)
        self._kind = PREDICTION_TYPES[scheduler_config.get("prediction_type", "epsilon")]
        self.timesteps: list[float] = []
        self.inputs: list[Array] = []

    def __call__(self, latents: Any, timestep: Any) -> Any:
        x, time = as_array(latents), float(timestep)
        self.timesteps.append(time)
        self.inputs.append(x)
        answer = self.predict(x, time)
        if isinstance(latents, np.ndarray):
            return answer.astype(latents.dtype)
        import torch

        return torch.from_numpy(answer).to(latents.device, latents.dtype)

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
float32 torch tensor, standard deviation 1), the number of steps and a seed for any further noise, and returns
the latents of the image.
"""


def run_of_sampler(sampler: Sampler) -> Run:
    """A sampler of this engine, as the render engine runs it."""

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
    """A diffusers scheduler, as their pipelines run it; a fresh copy for each run, as they keep state."""

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


def observe(run: Run, network: Network, noise: Any, steps: int, seed: int) -> Trace:
    """What the network was shown in a run, and the latents that came out.

    Raises ValueError where the network was not called, or latents have not the shape of the noise.
    """
    network.timesteps.clear()
    network.inputs.clear()
    output = as_array(run(network, noise, steps, seed))
    if not network.inputs:
        raise ValueError("The sampler did not call the network.")
    for shape in (network.inputs[0].shape, output.shape):
        if shape != tuple(noise.shape):
            raise ValueError(f"The sampler made latents of shape {shape} from noise of {tuple(noise.shape)}.")
    return Trace(tuple(network.timesteps), tuple(network.inputs), output)


def as_array(latents: Any) -> Array:
    """A copy in float64 NumPy of a tensor or array."""
    if isinstance(latents, np.ndarray):
        return latents.astype(np.float64)
    return np.array(latents.detach().double().cpu().numpy())
