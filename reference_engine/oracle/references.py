"""Reference implementations of every algorithm, in float64 NumPy and in the form of the papers.

Nothing here is shared with `reference_engine.samplers`: other variables (z = latents / alpha against
r = sigma / alpha), other formulas, other code for the noise levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..samplers import canonical
from .laws import Array

SD_SCHEDULE: Mapping[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
"""The scheduler config of Stable Diffusion 1.x; 2.0 at 768 has the prediction_type "v_prediction"."""

PURE = 1e8
"""The ratio that represents pure noise: it is safe in float64, and within 1e-7 of the limit. Every algorithm
takes Euler's step from there, because neither time -log r nor a slope's change over r is finite.
"""

Denoiser = Callable[[Array, float], Array]


@dataclass(frozen=True)
class Trace:
    """The network inputs of a run, call by call (in the network's scale, alpha x0 + sigma noise), and the
    output latents.
    """

    timesteps: tuple[float, ...]
    inputs: tuple[Array, ...]
    output: Array


class RatioSchedule:
    """The model's ratios sigma / alpha, by timestep; at zero SNR, where it is infinite, PURE."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        if (betas := config.get("trained_betas")) is None:
            root = 0.5 if config.get("beta_schedule") == "scaled_linear" else 1.0
            ends = config.get("beta_start", 0.0001) ** root, config.get("beta_end", 0.02) ** root
            betas = np.linspace(*ends, config.get("num_train_timesteps", 1000)) ** (1 / root)
        kept = np.cumprod(1.0 - np.asarray(betas, float))
        if config.get("rescale_betas_zero_snr"):  # Lin et al. 2023, algorithm 1
            roots = np.sqrt(kept)
            kept = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
        self.logs = np.log((1.0 - kept) / np.maximum(kept, PURE**-2)) / 2
        self.config = config

    def ratio(self, timestep: Any) -> Any:
        return np.exp(np.interp(timestep, np.arange(len(self.logs)), self.logs))

    def timestep(self, ratio: Any) -> Any:
        return np.interp(np.log(ratio), self.logs, np.arange(len(self.logs)))

    def grid(self, algorithm: str, parameters: Mapping[str, Any], steps: int) -> tuple[Array, Array]:
        """Timesteps of the calls, and the ratios, including the one where the run ends."""
        total = len(self.logs)
        if parameters.get("use_karras_sigmas", algorithm.endswith("Karras")):
            if self.ratio(total - 1) < PURE:
                low, high = np.exp(self.logs[[0, -1]] / 7)
                ratios = np.linspace(high, low, steps) ** 7
            else:
                second = total - 1 - max(round(total / steps), 1)
                low, high = np.exp(self.logs[[0, second]] / 7)
                ratios = np.append(PURE, np.linspace(high, low, steps - 1) ** 7)
            return self.timestep(ratios), np.append(ratios, 0.0)
        ends_early = algorithm in ("DDIM", "PNDM")
        usual = "trailing" if self.ratio(total - 1) >= PURE else "leading" if ends_early else "linspace"
        spacing = parameters.get("timestep_spacing", self.config.get("timestep_spacing", usual))
        if spacing == "leading":
            times = np.arange(steps)[::-1] * (total // steps) + self.config.get("steps_offset", 0)
        elif spacing == "trailing":
            times = np.round(np.arange(steps, 0, -1) * total / steps) - 1
        else:
            times = np.linspace(total - 1, 0, steps)
        clean = not ends_early or self.config.get("set_alpha_to_one", algorithm == "DDIM")
        early = not clean and times[-1] > 0
        return np.asarray(times, float), np.append(self.ratio(times), self.ratio(0) if early else 0.0)


def trace(
    algorithm: str,
    denoised: Denoiser,
    noise: Array,
    steps: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
) -> Trace:
    """A run of one of the deterministic algorithms from the network input `noise`.

    Raises ConfigError for an algorithm that is unknown or draws noise (see `ancestral_steps`).
    """
    name, given = canonical(algorithm), parameters or {}
    if name is None or name not in _WAYS or given.get("eta", 0) > 0:
        raise ConfigError(f"{algorithm!r} has no deterministic reference; {', '.join(_WAYS)} have.", ())
    times, ratios = RatioSchedule(scheduler_config).grid(name, given, steps)
    seen: list[tuple[float, Array]] = []

    def call(z: Array, index: int) -> Array:
        ratio = float(ratios[index])
        seen.append((float(times[index]), z / np.sqrt(1 + ratio**2)))
        return denoised(z, ratio)

    z = np.asarray(noise, float) * np.sqrt(1 + ratios[0] ** 2)
    behind = 0
    if ratios[0] >= PURE:
        z, behind = _euler(call, z, ratios[:2], given), 1
    if len(ratios) > behind + 1:
        z = _WAYS[name](lambda z, index: call(z, index + behind), z, ratios[behind:], given)
    return Trace(
        tuple(time for time, _ in seen),
        tuple(x for _, x in seen),
        np.asarray(z / np.sqrt(1 + ratios[-1] ** 2)),
    )


@dataclass(frozen=True)
class AncestralStep:
    """From one network input to the next: `keep` x + `weight` x0 prediction + `fresh` noise."""

    timestep: float
    keep: float
    weight: float
    fresh: float


def ancestral_steps(
    algorithm: str,
    steps: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    scheduler_config: Mapping[str, Any] = SD_SCHEDULE,
) -> list[AncestralStep]:
    """The steps of DDIM with `eta` (Song et al. 2021, equations 12 and 16) or Euler ancestral (eta = 1)."""
    name, given = canonical(algorithm), parameters or {}
    if name not in ("DDIM", "Euler a"):
        raise ConfigError(f"{algorithm!r} draws no noise; DDIM with eta and Euler a do.", ())
    eta = given.get("eta", 0.0) if name == "DDIM" else 1.0
    times, ratios = RatioSchedule(scheduler_config).grid(name, given, steps)
    kept = 1 / (1 + ratios**2)
    made = []
    for time, now, then in zip(times, kept, kept[1:], strict=False):
        fresh = eta * np.sqrt((1 - then) / (1 - now) * (1 - now / then))
        direction = np.sqrt(np.maximum(1 - then - fresh**2, 0.0)) / np.sqrt(1 - now)
        weight = np.sqrt(then) - direction * np.sqrt(now)
        made.append(AncestralStep(float(time), float(direction), float(weight), float(fresh)))
    return made


Predictor = Callable[[Array, int], Array]


def _euler(call: Predictor, z: Array, ratios: Array, _: Mapping[str, Any]) -> Array:
    for index in range(len(ratios) - 1):
        slope = (z - call(z, index)) / ratios[index]
        z = z + slope * (ratios[index + 1] - ratios[index])
    return z


def _heun(call: Predictor, z: Array, ratios: Array, _: Mapping[str, Any]) -> Array:
    for index in range(len(ratios) - 1):
        here, there = ratios[index], ratios[index + 1]
        slope = (z - call(z, index)) / here
        guess = z + slope * (there - here)
        if there == 0:
            return np.asarray(guess)
        z = z + (slope + (guess - call(guess, index + 1)) / there) / 2 * (there - here)
    return z


def _plms(call: Predictor, z: Array, ratios: Array, _: Mapping[str, Any]) -> Array:
    tables = ((1,), (3, -1), (23, -16, 5), (55, -59, 37, -9))
    past: list[Array] = []
    for index in range(len(ratios) - 1):
        here, there = ratios[index], ratios[index + 1]
        slope = (z - call(z, index)) / here
        past = [slope, *past][:4]
        if index == 0 and len(ratios) > 2:
            guess = z + slope * (there - here)
            mean = (slope + (guess - call(guess, 1)) / there) / 2
        else:
            table = tables[len(past) - 1]
            mean = sum((part * old for part, old in zip(table, past, strict=True)), np.zeros(())) / sum(table)
        z = z + mean * (there - here)
    return z


def _lms(call: Predictor, z: Array, ratios: Array, given: Mapping[str, Any]) -> Array:
    from numpy.polynomial import Polynomial

    past: list[Array] = []
    for index in range(len(ratios) - 1):
        past = [(z - call(z, index)) / ratios[index], *past][: given.get("order", 4)]
        nodes = [ratios[index - back] for back in range(len(past))]
        for which, slope in enumerate(past):
            others = [node for other, node in enumerate(nodes) if other != which]
            basis = Polynomial.fromroots(others) if others else Polynomial([1.0])
            area = (basis / basis(nodes[which])).integ()
            z = z + (area(ratios[index + 1]) - area(ratios[index])) * slope
    return z


def _dpm_2m(call: Predictor, z: Array, ratios: Array, _: Mapping[str, Any]) -> Array:
    """In time -log r, as Lu et al. 2022, algorithm 2, with alpha divided out."""
    before: Array | None = None
    for index in range(len(ratios) - 1):
        now = call(z, index)
        there = ratios[index + 1]
        if there == 0:
            return now
        step = np.log(ratios[index] / there)
        lead = now
        if before is not None:
            past = np.log(ratios[index - 1] / ratios[index]) / step
            lead = (1 + 1 / (2 * past)) * now - before / (2 * past)
        z = there / ratios[index] * z - np.expm1(-step) * lead
        before = now
    return z


def _unipc(call: Predictor, z: Array, ratios: Array, given: Mapping[str, Any]) -> Array:
    """Zhao et al. 2023, algorithms 7 and 8 (data prediction), with B(h) = e^h - 1 and alpha divided out."""
    order, last = given.get("solver_order", 2), len(ratios) - 2
    with np.errstate(divide="ignore"):
        lambdas = -np.log(ratios)
    past: list[Array] = []
    base, used = z, 0
    for index in range(last + 1):
        now = call(z, index)
        if index:
            z = _unified(base, ratios, lambdas, index, past[:used], now)
        past = [now, *past]
        used = min(order, index + 1, last + 1 - index)
        base = z
        z = now if ratios[index + 1] == 0 else _unified(base, ratios, lambdas, index + 1, past[:used], None)
    return z


def _unified(
    base: Array, ratios: Array, lambdas: Array, target: int, past: Sequence[Array], new: Array | None
) -> Array:
    step = lambdas[target] - lambdas[target - 1]
    places = [(lambdas[target - 1 - back] - lambdas[target - 1]) / step for back in range(1, len(past))]
    slopes = [(old - past[0]) / place for old, place in zip(past[1:], places, strict=True)]
    if new is not None:
        places, slopes = [*places, 1.0], [*slopes, new - past[0]]
    scale = np.expm1(-step)
    total = ratios[target] / ratios[target - 1] * base - scale * past[0]
    if not places:
        return np.asarray(total)
    count = len(places)
    if count == 1:
        rhos = np.array([0.5])
    else:
        rhos = np.linalg.solve(np.vander(places, count, increasing=True).T, _moments(step, count))
    mixed: Array = sum((rho * slope for rho, slope in zip(rhos, slopes, strict=True)), np.zeros(()))
    return np.asarray(total - scale * mixed)


def _moments(step: float, count: int) -> Array:
    """For k = 1 to `count`: the share of slope s^k in a step, that is h times the integral of
    e^(h(s-1)) s^k over 0..1, relative to that of a constant, 1 - e^-h.
    """
    nodes, parts = np.polynomial.legendre.leggauss(30)
    inner, parts = (nodes + 1) / 2, parts / 2
    return np.array(
        [
            step * np.sum(parts * np.exp(step * (inner - 1)) * inner**power) / -np.expm1(-step)
            for power in range(1, count + 1)
        ]
    )


_WAYS: Mapping[str, Callable[[Predictor, Array, Array, Mapping[str, Any]], Array]] = {
    "DDIM": _euler,
    "PNDM": _plms,
    "Euler": _euler,
    "DPM++ 2M Karras": _dpm_2m,
    "UniPC Karras": _unipc,
    "LMS": _lms,
    "Heun": _heun,
}
