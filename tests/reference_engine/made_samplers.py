"""Samplers to try the oracle on: right ones, diffusers' own, and ours with something put wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reference_engine import oracle, samplers

SD = oracle.SD_SCHEDULE
KARRAS = {"use_karras_sigmas": True}
TRAILING = {"timestep_spacing": "trailing"}


def ours(name: str, parameters: dict[str, Any] | None = None, **config: Any) -> oracle.Run:
    return oracle.run_of_sampler(samplers.build(name, parameters or {}, {**SD, **config}))


def theirs(kind: str, **config: Any) -> oracle.Run:
    import diffusers

    return oracle.run_of_diffusers(
        getattr(diffusers, kind).from_config({**SD, "clip_sample": False, **config})
    )


def wrongly(
    name: str = "DPM++ 2M Karras",
    *,
    shown: Callable[[Any, float], Any] = lambda latents, timestep: latents,
    told: Callable[[tuple[float, ...], int], float] = lambda timesteps, index: timesteps[index],
    answer: Callable[[Any], Any] = lambda output: output,
    kept: Callable[[Any], Any] = lambda latents: latents,
    parameters: dict[str, Any] | None = None,
    **config: Any,
) -> oracle.Run:
    """Our sampler with something put wrong on its way."""
    sampler = samplers.build(name, parameters or {}, {**SD, **config})

    @oracle.on_tensors
    def run(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        schedule, generator = sampler.schedule(steps), torch.Generator().manual_seed(seed)
        latents = schedule.initial(noise)
        for index, timestep in enumerate(schedule.timesteps):
            output = answer(network(shown(latents, timestep), told(schedule.timesteps, index)))
            latents = kept(schedule.step(output, index, latents, generator))
        return latents

    return run


def unscaled(latents: Any, timestep: float) -> Any:
    return latents * np.hypot(1.0, oracle.Network(oracle.LAWS[0]).schedule.ratio(timestep))


def next_one(timesteps: tuple[float, ...], index: int) -> float:
    return timesteps[min(index + 1, len(timesteps) - 1)]
