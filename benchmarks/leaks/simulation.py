"""How often the rule for memory errs, on made-up traces: `python -m benchmarks.leaks.simulation [TRACES]`.

Each class of trace is drawn anew for every run; `below` is the upper end of the 95 % interval of Clopper and
Pearson (1934).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from certify.instruments.leaks.judge import SURE, Sample, judge_memory

CALLS, SAMPLES, NOISE, BASE = 3_000, 120, 50e3, 300e6
Floats = NDArray[np.float64]
Shape = Callable[[Floats, np.random.Generator], Floats]


def upper_bound(events: int, runs: int, error: float = 0.05) -> float:
    """The share that is exceeded with probability `error` at most, from `events` in `runs` (one-sided)."""
    if runs == 0 or events >= runs:
        return 1.0
    low, high = events / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(events, runs, middle) > error else (low, middle)
    return high


def _at_most(events: int, runs: int, share: float) -> float:
    """P(X <= events) for X binomial."""
    term = total = (1 - share) ** runs
    for k in range(events):
        term *= (runs - k) / (k + 1) * share / (1 - share)
        total += term
    return total


def correlated(lag: float) -> Shape:
    def draw(c: Floats, rng: np.random.Generator) -> Floats:
        keep = np.exp(-(c[1] - c[0]) / (c[-1] * lag))
        kicks = rng.normal(0, NOISE * np.sqrt(1 - keep**2), len(c))
        values = np.zeros(len(c))
        values[0] = rng.normal(0, NOISE)
        for i in range(1, len(c)):
            values[i] = keep * values[i - 1] + kicks[i]
        return values

    return draw


def cache(low: float, high: float) -> Shape:
    """Full after a share of the calls between `low` and `high`."""
    return lambda c, rng: 2e7 * np.minimum(1, c / (c[-1] * rng.uniform(low, high)))


def steps(c: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    return c > rng.uniform(0, c[-1], (rng.integers(1, 5), 1))


def leak(times: float, begin: float = 0.0) -> Shape:
    """A leak of `times` the r_min of noise alone, from the share `begin` of the calls on."""
    rate = times * SURE * max(18 * NOISE, 2 * (256 << 10)) / CALLS
    return lambda c, rng: rate * np.maximum(0, c - begin * c[-1])


HARMLESS: dict[str, Shape] = {
    "noise": lambda c, rng: 0 * c,
    "correlated over 1/10 of the run": correlated(0.1),
    "correlated over 2/3 of the run": correlated(2 / 3),
    "cache full in the first quarter": lambda c, rng: (
        2e7 * np.minimum(1, c / (c[-1] * rng.uniform(0.02, 0.24)))
    ),
    "cache full in the second quarter": lambda c, rng: (
        2e7 * np.minimum(1, c / (c[-1] * rng.uniform(0.26, 0.48)))
    ),
    "cache full in the second half": lambda c, rng: (
        2e7 * np.minimum(1, c / (c[-1] * rng.uniform(0.52, 0.98)))
    ),
    "saturating": lambda c, rng: 2e7 * (1 - np.exp(-c / (c[-1] * rng.uniform(0.05, 0.33)))),
    "sawtooth": lambda c, rng: 1e7 * ((c / (c[-1] * rng.uniform(0.01, 0.5))) % 1),
    "one to four steps up": lambda c, rng: (
        2e6 * (c > rng.uniform(0, c[-1], (rng.integers(1, 5), 1))).sum(axis=0)
    ),
    "logarithmic": lambda c, rng: 5e6 * np.log(c),
}
LEAKING: dict[str, Shape] = {
    "leak of 1/2 r_min": leak(0.5),
    "leak of r_min": leak(1),
    "leak of 2 r_min": leak(2),
    "leak of 4 r_min (the canary)": leak(4),
    "leak of 4 r_min from 1/2 on": leak(4, 0.5),
    "leak of 4 r_min from 3/4 on": leak(4, 0.75),
    "leak of 4 r_min from 5/6 on": leak(4, 5 / 6),
    "root, 4 r_min on average": lambda c, rng: leak(4)(c[-1:], rng) * np.sqrt(c / c[-1]),
}


def said(shape: Shape, seed: int) -> str:
    rng = np.random.default_rng(seed)
    calls = np.arange(1, SAMPLES + 1, dtype=np.float64) * (CALLS / SAMPLES)
    values = BASE + shape(calls, rng) + rng.normal(0, NOISE, SAMPLES)
    return judge_memory(
        [Sample(int(call), 0.0, rss_anon=int(value)) for call, value in zip(calls, values, strict=True)]
    ).verdict


def main(traces: int) -> None:
    print(f"{CALLS} calls, {SAMPLES} samples, noise of {NOISE / 1e3:.0f} kB, {traces} traces each, in %")
    for title, shapes, error in (("no leak", HARMLESS, "LEAK"), ("leak", LEAKING, "CLEAN")):
        print(f"\n{title:<36} {'LEAK':>6} {'UNDECIDED':>10} {'CLEAN':>6}   {'false ' + error + ' below':>18}")
        for name, shape in shapes.items():
            found = [said(shape, seed) for seed in range(traces)]
            counts = [found.count(kind) for kind in ("LEAK", "UNDECIDED", "CLEAN")]
            shares = [100 * count / traces for count in counts]
            below = 100 * upper_bound(found.count(error), traces)
            print(f"{name:<36} {shares[0]:>6.1f} {shares[1]:>10.1f} {shares[2]:>6.1f}   {below:>17.1f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
