"""A model's own noise schedule: how noisy its input is at each timestep, between timesteps too."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelNotLoaded

PREDICTION_TYPES = {"epsilon": "epsilon", "v_prediction": "v_prediction", "sample": "sample", "x0": "sample"}
"""What the network's output is, by the name in the model's scheduler config."""


@dataclass(frozen=True)
class Level:
    """One point of a run: the network sees `alpha` x0 + `sigma` noise at `timestep`, where
    alpha^2 + sigma^2 = 1. The timestep may be fractional; the last level of a run is never seen and has None.
    """

    timestep: float | None
    alpha: float
    sigma: float

    @property
    def ratio(self) -> float:
        """sigma / alpha: the noise beside unscaled data, "sigma" in Karras et al. 2022."""
        return self.sigma / self.alpha

    @property
    def log_snr(self) -> float:
        """log(alpha / sigma), "lambda" in Lu et al. 2022; infinite where there is no noise."""
        return math.log(self.alpha / self.sigma) if self.sigma > 0 else math.inf

    @classmethod
    def at(cls, timestep: float | None, ratio: float) -> Level:
        length = math.hypot(1.0, ratio)
        return cls(timestep, 1.0 / length, ratio / length)


CLEAN = Level(None, 1.0, 0.0)


@dataclass(frozen=True)
class NoiseSchedule:
    """The ratio sigma / alpha at every whole timestep, in float64; between them its logarithm is linear."""

    log_ratios: tuple[float, ...]
    prediction_type: str = "epsilon"

    @classmethod
    def from_config(cls, scheduler_config: Mapping[str, Any]) -> NoiseSchedule:
        """From a diffusers scheduler config. Raises ModelNotLoaded for a kind that is not known."""
        kind = scheduler_config.get("prediction_type", "epsilon")
        if kind not in PREDICTION_TYPES:
            raise ModelNotLoaded(
                f"The model's scheduler config has the prediction_type {kind!r}, which is not known.",
                [f"Known are {', '.join(PREDICTION_TYPES)}."],
            )
        product, log_ratios = 1.0, []
        for beta in _betas(scheduler_config):
            product *= 1.0 - beta
            log_ratios.append(0.5 * math.log((1.0 - product) / product))
        return cls(tuple(log_ratios), PREDICTION_TYPES[kind])

    @property
    def length(self) -> int:
        return len(self.log_ratios)

    def ratio(self, timestep: float) -> float:
        low = min(max(int(timestep), 0), self.length - 2)
        part = timestep - low
        return math.exp((1.0 - part) * self.log_ratios[low] + part * self.log_ratios[low + 1])

    def timestep(self, ratio: float) -> float:
        """The inverse of `ratio`; fractional, since rounded it would be another amount of noise."""
        wanted = math.log(ratio)
        low = min(max(bisect_right(self.log_ratios, wanted) - 1, 0), self.length - 2)
        below, above = self.log_ratios[low], self.log_ratios[low + 1]
        return low + min(max((wanted - below) / (above - below), 0.0), 1.0)

    def level(self, timestep: float) -> Level:
        return Level.at(timestep, self.ratio(timestep))


def _betas(config: Mapping[str, Any]) -> list[float]:
    """The variances of Ho et al. 2020 in the two forms that latent diffusion uses, or as listed in the
    config.
    """
    if config.get("trained_betas") is not None:
        return [float(beta) for beta in config["trained_betas"]]
    count = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    kind = config.get("beta_schedule", "linear")
    if kind == "linear":
        return [start + (end - start) * index / (count - 1) for index in range(count)]
    if kind == "scaled_linear":
        low, high = math.sqrt(start), math.sqrt(end)
        return [(low + (high - low) * index / (count - 1)) ** 2 for index in range(count)]
    raise ModelNotLoaded(
        f"The model's scheduler config has the beta_schedule {kind!r}, which is not known.",
        ['Known are "linear", "scaled_linear" and a list as trained_betas.'],
    )
