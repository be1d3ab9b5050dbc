"""The solvers, as tables of numbers.

Every sampler here is linear in its inputs: new latents = `keep` x latents + the sum of `weights` x past
predictions + `noise` x fresh noise, with numbers that depend only on the noise levels. A solver computes
these numbers once, in float64, from the levels of the run itself, never from a rounded or assumed step. Each
step is then a few multiplications of tensors (see `schedule.Schedule`).

Latents are in the network's own scale, alpha x0 + sigma noise. In terms of z = latents / alpha and
r = sigma / alpha the ordinary differential equation of sampling is dz/dr = noise prediction. In pure noise
(alpha 0) both are infinite; every solver takes one step of Euler's method on x0 from there, and
begins after it (see `_from_pure_noise`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .noise import Level


@dataclass(frozen=True)
class Combination:
    """A linear combination. The first of `weights` is for the newest prediction."""

    keep: float
    weights: tuple[float, ...] = ()
    noise: float = 0.0


STAY = Combination(1.0)


@dataclass(frozen=True)
class NetworkCall:
    """One call of the network, at `level`, and how its prediction is used.

    A `correction` first replaces the latents, computed from those that the previous call started from. Then
    `move` gives the latents for the next call.
    """

    level: Level
    move: Combination
    correction: Combination | None = None


CallPlanner = Callable[[Sequence[Level]], list[NetworkCall]]


@dataclass(frozen=True)
class Solver:
    """`plan` makes the calls of a run from its levels (the last of which is where the run ends).

    Its weights are for predictions of `history`: "denoised" (x0) or "noise". In pure noise they are for x0
    in any case.
    """

    history: str
    plan: CallPlanner


def ancestral(eta: float) -> Solver:
    """Euler's method with a share `eta` of each step's noise drawn afresh.

    With 0 it is Euler's method, which is DDIM; with 1 Euler ancestral, which is DDIM with eta = 1 (Song et
    al. 2021, equations 12 and 16; Karras et al. 2022 name the same step "ancestral").
    """

    def plan(levels: Sequence[Level]) -> list[NetworkCall]:
        return [NetworkCall(here, _euler(here, there, eta)) for here, there in _pairs(levels)]

    return Solver("denoised", plan)


def _euler(here: Level, there: Level, eta: float = 0.0) -> Combination:
    fresh = eta * there.sigma * math.sqrt(max(1.0 - (there.ratio / here.ratio) ** 2, 0.0))
    keep = math.sqrt(max(there.sigma**2 - fresh**2, 0.0)) / here.sigma
    return Combination(keep, (there.alpha - keep * here.alpha,), fresh)


def _from_pure_noise(plan: CallPlanner) -> CallPlanner:
    """`plan`, with a step of Euler's method before it where the first level is pure noise.

    From there a multistep solver has no finite distance, and Heun's method has no limit.
    """

    def longer(levels: Sequence[Level]) -> list[NetworkCall]:
        if levels[0].alpha > 0:
            return plan(levels)
        first = NetworkCall(levels[0], _euler(levels[0], levels[1]))
        return [first, *plan(levels[1:])] if len(levels) > 2 else [first]

    return longer


def plms() -> Solver:
    """Pseudo linear multistep, PNDM without its Runge-Kutta start (Liu et al. 2022, equations 9 and 12).

    Adams-Bashforth coefficients for equal steps, up to order 4, whatever the levels; the first step is
    Heun's, so a run of N steps has N + 1 calls.
    """
    rising = ((3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))

    def plan(levels: Sequence[Level]) -> list[NetworkCall]:
        (first, second), *rest = _pairs(levels)
        calls = [NetworkCall(first, _along(first, second, (1.0,)))]
        if not rest:
            return calls
        calls.append(NetworkCall(second, STAY, _along(first, second, (1 / 2, 1 / 2))))
        for index, (here, there) in enumerate(rest):
            weights = rising[min(index, 2)]
            if index < 3:  # the prediction of the second call served the correction alone
                weights = (*weights[:-1], 0.0, weights[-1])
            calls.append(NetworkCall(here, _along(here, there, weights)))
        return calls

    return Solver("noise", _from_pure_noise(plan))


def lms(order: int) -> Solver:
    """Linear multistep: the polynomial through the last `order` noise predictions, integrated over the step
    (Adams-Bashforth for unequal steps).
    """

    def plan(levels: Sequence[Level]) -> list[NetworkCall]:
        ratios = [level.ratio for level in levels]
        calls = []
        for index, (here, there) in enumerate(_pairs(levels)):
            known = [ratios[index - back] for back in range(min(index + 1, order))]
            parts = [_integral(known, which, here.ratio, there.ratio) for which in range(len(known))]
            step = there.ratio - here.ratio
            calls.append(NetworkCall(here, _along(here, there, tuple(part / step for part in parts))))
        return calls

    return Solver("noise", _from_pure_noise(plan))


def heun() -> Solver:
    """Heun's method (Karras et al. 2022, algorithm 1 without churn): two calls a step, and one for a last
    step to clean latents.
    """

    def plan(levels: Sequence[Level]) -> list[NetworkCall]:
        calls = []
        for here, there in _pairs(levels):
            calls.append(NetworkCall(here, _along(here, there, (1.0,))))
            if there.timestep is not None:
                calls.append(NetworkCall(there, STAY, _along(here, there, (1 / 2, 1 / 2))))
        return calls

    return Solver("noise", _from_pure_noise(plan))


def dpm_2m() -> Solver:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2); the first step, and the last one to clean latents, are
    of order 1.
    """

    def plan(levels: Sequence[Level]) -> list[NetworkCall]:
        calls = []
        for index, (here, there) in enumerate(_pairs(levels)):
            move = _euler(here, there)
            if index and there.sigma > 0:
                last = here.log_snr - levels[index - 1].log_snr
                lean = move.weights[0] * (there.log_snr - here.log_snr) / (2 * last)
                move = Combination(move.keep, (move.weights[0] + lean, -lean))
            calls.append(NetworkCall(here, move))
        return calls

    return Solver("denoised", _from_pure_noise(plan))


def unipc(order: int) -> Solver:
    """UniPC with B(h) = exp(h) - 1 ("bh2") on x0 predictions (Zhao et al. 2023): each prediction first
    corrects the step that led to it, at no further call. The first and last steps are of lower order.
    """

    def plan(levels: Sequence[Level]) -> list[NetworkCall]:
        pairs, calls, used = _pairs(levels), [], 0
        for index, (here, _) in enumerate(pairs):
            correction = _unified(levels, index, used, corrects=True) if index else None
            used = min(order, index + 1, len(pairs) - index)
            calls.append(NetworkCall(here, _unified(levels, index + 1, used, corrects=False), correction))
        return calls

    return Solver("denoised", _from_pure_noise(plan))


def _unified(levels: Sequence[Level], target: int, order: int, *, corrects: bool) -> Combination:
    """The step to `levels[target]` from the one before, by `order` predictions up to there, and where it
    `corrects` by that at the target too.
    """
    here, there = levels[target - 1], levels[target]
    plain = _euler(here, there)
    if there.sigma == 0:
        return plain
    step = there.log_snr - here.log_snr
    places = [(levels[target - 1 - back].log_snr - here.log_snr) / step for back in range(1, order)]
    if corrects:
        places = [1.0, *places]
    if not places:
        return plain
    if len(places) == 1:  # as published: the coefficient of a single difference is 1/2, not the solved one
        rhos = [0.5]
    else:
        rhos = _solve([[place**power for place in places] for power in range(len(places))], _moments(step))
    scale = there.alpha * -math.expm1(-step)
    shares = [scale * rho / place for rho, place in zip(rhos, places, strict=True)]
    now = plain.weights[0] - sum(shares)
    weights = (shares[0], now, *shares[1:]) if corrects else (now, *shares)
    return Combination(plain.keep, weights)


def _moments(step: float) -> Callable[[int], float]:
    """The right-hand side of UniPC's system, over B(h): k! phi_(k+1)(-h) x (-h) / B."""

    def moment(power: int) -> float:
        minus = -step
        phi, factorial = math.expm1(minus) / minus - 1.0, 1.0
        for index in range(1, power + 1):
            factorial *= index + 1
            phi = phi / minus - 1.0 / factorial
        return phi * factorial / math.expm1(minus)

    return moment


def _solve(rows: list[list[float]], right: Callable[[int], float]) -> list[float]:
    import numpy as np

    return [float(value) for value in np.linalg.solve(rows, [right(power) for power in range(len(rows))])]


def _integral(nodes: Sequence[float], which: int, start: float, end: float) -> float:
    """Of Lagrange's polynomial that is 1 at `nodes[which]` and 0 at the others; exact up to degree 3 by two
    points of Gauss-Legendre.
    """
    middle, half = (start + end) / 2, (end - start) / 2
    total = 0.0
    for point in (middle - half / math.sqrt(3), middle + half / math.sqrt(3)):
        value = 1.0
        for other, node in enumerate(nodes):
            if other != which:
                value *= (point - node) / (nodes[which] - node)
        total += value * half
    return total


def _along(here: Level, there: Level, weights: tuple[float, ...]) -> Combination:
    """A step along a weighted mean of noise predictions."""
    length = there.alpha * (there.ratio - here.ratio)
    return Combination(there.alpha / here.alpha, tuple(length * weight for weight in weights))


def _pairs(levels: Sequence[Level]) -> list[tuple[Level, Level]]:
    return list(pairwise(levels))
