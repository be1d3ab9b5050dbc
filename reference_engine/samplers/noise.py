"""A model's noise schedule: how noisy its input is at each timestep, and between timesteps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Any

from ..errors import ModelNotLoaded

PREDICTION_TYPES = {"epsilon": "epsilon", "v_prediction": "v_prediction", "sample": "sample", "x0": "sample"}
"""The meaning of the network's output, by the name in the model's scheduler config."""


@dataclass(frozen=True)
class Level:
    """One point of a run: the network sees `alpha` x0 + `sigma` noise at `timestep`, where alpha^2 + sigma^2
    = 1. The timestep may be fractional; the last level of a run is not an input and has None. At zero SNR
    alpha is 0: the input is only noise, and a prediction of noise has no information about x0.
    """

    timestep: float | None
    alpha: float
    sigma: float

    @property
    def ratio(self) -> float:
        """sigma / alpha: the noise on unscaled data, "sigma" in Karras et al. 2022; infinite at zero
        SNR.
        """
        return self.sigma / self.alpha if self.alpha > 0 else math.inf

    @property
    def log_snr(self) -> float:
        """log(alpha / sigma), "lambda" in Lu et al. 2022; infinite where there is no noise."""
        return -math.log(self.ratio) if self.sigma > 0 else math.inf

    @classmethod
    def at(cls, timestep: float | None, ratio: float) -> Level:
        if math.isinf(ratio):
            return cls(timestep, 0.0, 1.0)
        length = math.hypot(1.0, ratio)
        return cls(timestep, 1.0 / length, ratio / length)


CLEAN = Level(None, 1.0, 0.0)


@dataclass(frozen=True)
class NoiseSchedule:
    """The ratio sigma / alpha at every whole timestep, in float64; between them its logarithm is linear. The
    last may be infinite (see `zero_snr`).
    """

    log_ratios: tuple[float, ...]
    prediction_type: str = "epsilon"

    @classmethod
    def from_config(cls, scheduler_config: Mapping[str, Any]) -> NoiseSchedule:
        """From a diffusers scheduler config. Raises ModelNotLoaded for an unknown kind, or one whose last
        timestep has no information.
        """
        kind = scheduler_config.get("prediction_type", "epsilon")
        if kind not in PREDICTION_TYPES:
            raise ModelNotLoaded(
                f"The model's scheduler config has the prediction_type {kind!r}, which is unknown.",
                [f"Known are {', '.join(PREDICTION_TYPES)}."],
            )
        alphas = [math.sqrt(kept) for kept in accumulate((1.0 - b for b in _betas(scheduler_config)), mul)]
        if scheduler_config.get("rescale_betas_zero_snr", False):
            alphas = _to_zero_snr(alphas)
        if min(alphas[:-1]) <= 0.0:
            raise ModelNotLoaded(
                "The model's noise schedule leaves nothing of the image before its last timestep.",
                ["Check the betas in its scheduler config."],
            )
        noise = cls(tuple(map(_log_ratio, alphas)), PREDICTION_TYPES[kind])
        if noise.zero_snr and kind == "epsilon":
            raise ModelNotLoaded(
                "The model's noise schedule ends in pure noise (zero terminal SNR), but its prediction_type "
                'is "epsilon": noise predicted in pure noise has no information about an image.',
                [
                    'If the model was trained for it, its scheduler config says "v_prediction" or "sample".',
                    'Otherwise remove "rescale_betas_zero_snr" from the scheduler config.',
                ],
            )
        return noise

    @property
    def length(self) -> int:
        return len(self.log_ratios)

    @property
    def zero_snr(self) -> bool:
        """Whether the last timestep is pure noise."""
        return math.isinf(self.log_ratios[-1])

    def ratio(self, timestep: float) -> float:
        low = min(max(int(timestep), 0), self.length - 2)
        part = timestep - low
        if part == 0.0:  # 0 times the infinite ratio of pure noise would be NaN
            return math.exp(self.log_ratios[low])
        return math.exp((1.0 - part) * self.log_ratios[low] + part * self.log_ratios[low + 1])

    def timestep(self, ratio: float) -> float:
        """The inverse of `ratio`. It is fractional, because rounding would change the amount of noise."""
        wanted = math.log(ratio)
        low = min(max(bisect_right(self.log_ratios, wanted) - 1, 0), self.length - 2)
        below, above = self.log_ratios[low], self.log_ratios[low + 1]
        return low + min(max((wanted - below) / (above - below), 0.0), 1.0)

    def level(self, timestep: float) -> Level:
        return Level.at(timestep, self.ratio(timestep))


def _to_zero_snr(alphas: list[float]) -> list[float]:
    """Shifted and scaled so that the last is 0 and the first stays (Lin et al. 2023, algorithm 1)."""
    first, last = alphas[0], alphas[-1]
    return [(alpha - last) * first / (first - last) for alpha in alphas]


def _log_ratio(alpha: float) -> float:
    return 0.5 * math.log((1.0 - alpha**2) / alpha**2) if alpha > 0 else math.inf


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
        f"The model's scheduler config has the beta_schedule {kind!r}, which is unknown.",
        ['Known are "linear", "scaled_linear" and a list as trained_betas.'],
    )
