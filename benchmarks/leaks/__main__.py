"""Leaks found and false alarms on the labelled cases: this rule, a naive trend test, psleak, pytest-memray.

    python -m benchmarks.leaks [--rounds N] [--peers PYTHON]

Each case runs in a process of its own. `--rounds` repeats the cases that are no leaks. `--peers` names a
Python that has psleak, pytest-memray and numpy; without it they are left out. Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from benchmarks.leaks.cases import ALL, CLEAN, LEAKS
from benchmarks.leaks.simulation import upper_bound
from certify.instruments.leaks.trend import mann_kendall_p
from certify.measure.soak.function import CALLS, soak_function

PEER_SECONDS = 45
# The naive test: resident memory every so many calls, the first fifth left out, p < 0.05.
EVERY, POINTS = 50, 60


@dataclass
class Tally:
    """What one detector said of every case: (case, leak or not, or None for no answer, calls)."""

    name: str
    said: list[tuple[str, bool | None, int]] = field(default_factory=list)

    def line(self) -> str:
        leaks = [row for row in self.said if ALL[row[0]] in LEAKS]
        clean = [row for row in self.said if ALL[row[0]] in CLEAN]
        found = sum(row[1] is True for row in leaks)
        alarms = sum(row[1] is True for row in clean)
        silent = sum(row[1] is None for row in self.said)
        to_leak = [row[2] for row in leaks if row[1]] or [0]
        to_clean = [row[2] for row in clean if row[1] is False] or [0]
        bound = 100 * upper_bound(alarms, len(clean))
        return (
            f"{self.name:<34} {found:>3}/{len(leaks):<3} {alarms:>4}/{len(clean):<4} {bound:>7.1f} % "
            f"{silent:>9} {median(to_leak):>9.0f} {median(to_clean):>10.0f}"
        )

    def missed(self) -> str:
        wrong = [row[0] for row in self.said if ALL[row[0]] in LEAKS and row[1] is not True]
        alarms = sorted({row[0] for row in self.said if ALL[row[0]] in CLEAN and row[1]})
        return f"{self.name}: missed {', '.join(wrong) or 'none'}; alarms {', '.join(alarms) or 'none'}"


def ours(case: str) -> tuple[bool | None, int]:
    found = soak_function(ALL[case](), CALLS)
    return {"LEAK": True, "CLEAN": False}.get(found.verdict), found.calls


def naive(case: str) -> tuple[bool | None, int]:
    resident = np.array(_free_running(ALL[case]))
    floors = resident[POINTS // 5 :].reshape(12, -1).min(axis=1).astype(float)
    return mann_kendall_p(floors) < 0.05, EVERY * POINTS


def _free_running(case: Callable[[], Callable[[], object]]) -> list[int]:
    """Resident pages of a process that only calls, read by itself."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        call, pages = case(), []
        for number in range(1, EVERY * POINTS + 1):
            with contextlib.suppress(ValueError):
                call()
            if number % EVERY == 0:
                pages.append(int(Path("/proc/self/statm").read_text().split()[1]))
        os.write(writing, json.dumps(pages).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        told = stream.read()
    os.waitpid(pid, 0)
    return list(map(int, json.loads(told)))


def peer(python: str, name: str) -> Callable[[str], tuple[bool | None, int]]:
    def ask(case: str) -> tuple[bool | None, int]:
        command = [python, str(Path(__file__).with_name("peers.py")), name, case]
        environment = {**os.environ, "PYTHONMALLOC": "malloc"} if name == "psleak" else None
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PEER_SECONDS, env=environment
            )
        except subprocess.TimeoutExpired:
            return None, 0
        if done.returncode:
            return None, 0
        told = json.loads(done.stdout.strip().splitlines()[-1])
        return bool(told["leak"]), int(told["calls"])

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", metavar="PYTHON", default="")
    arguments = parser.parse_args()
    detectors: dict[str, Callable[[str], tuple[bool | None, int]]] = {
        "certify": ours,
        "naive Mann-Kendall on RSS": naive,
    }
    if arguments.peers:
        detectors["psleak"] = peer(arguments.peers, "psleak")
        detectors["pytest-memray limit_leaks(16 KB)"] = peer(arguments.peers, "memray")
    told = []
    print(f"{'':<34} {'found':>7} {'alarms':>9} {'95 % below':>9} {'no answer':>9}   calls to leak, to clean")
    for name, detector in detectors.items():
        tally = Tally(name)
        for case in ALL:
            rounds = arguments.rounds if detector is ours and ALL[case] in CLEAN else 1
            tally.said += [(case, *detector(case)) for _ in range(rounds)]
        print(tally.line(), flush=True)
        told.append(tally.missed())
    print("\n" + "\n".join(told))


if __name__ == "__main__":
    main()
