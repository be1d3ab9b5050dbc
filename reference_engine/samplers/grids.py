"""The noise levels of a run of N steps: N levels for the network, and the level where it ends."""

from __future__ import annotations

from .noise import CLEAN, Level, NoiseSchedule

SPACINGS = ("leading", "linspace", "trailing")
KARRAS_RHO = 7.0
"""Karras et al. 2022, section 3."""


def spaced(noise: NoiseSchedule, steps: int, spacing: str, offset: int, end: Level) -> tuple[Level, ...]:
    """Evenly in time, in one of the three ways of Lin et al. 2023, table 2; then `end`.

    If the last step would begin at or below `end`, the run ends on clean latents: otherwise its last call
    would have no effect.
    """
    total = noise.length
    if spacing == "leading":
        times = [float(index * (total // steps) + offset) for index in reversed(range(steps))]
    elif spacing == "trailing":
        times = [float(round(total - index * total / steps) - 1) for index in range(steps)]
    else:
        times = [(total - 1) * (1.0 - index / max(steps - 1, 1)) for index in range(steps)]
    levels = [noise.level(time) for time in times]
    return (*levels, end if levels[-1].sigma > end.sigma * (1 + 1e-9) else CLEAN)


def karras(noise: NoiseSchedule, steps: int) -> tuple[Level, ...]:
    """Evenly in the 7th root of the ratio sigma / alpha (Karras et al. 2022, equation 5), from the model's
    noisiest timestep to its cleanest; then clean latents.

    Pure noise has no such root. If the model's noisiest timestep is pure noise, the run calls it first, and
    the rest are spaced from the second call of a run that is even in time.
    """
    if noise.zero_snr:
        pure = noise.level(noise.length - 1)
        second = noise.length - 1 - max(round(noise.length / steps), 1)
        return (pure, *_rooted(noise, noise.ratio(second), steps - 1), CLEAN)
    return (*_rooted(noise, noise.ratio(noise.length - 1), steps), CLEAN)


def _rooted(noise: NoiseSchedule, most: float, steps: int) -> list[Level]:
    least = noise.ratio(0)
    roots = most ** (1 / KARRAS_RHO), least ** (1 / KARRAS_RHO)
    ratios = [
        (roots[0] + (roots[1] - roots[0]) * index / max(steps - 1, 1)) ** KARRAS_RHO for index in range(steps)
    ]
    return [Level.at(noise.timestep(ratio), ratio) for ratio in ratios]
