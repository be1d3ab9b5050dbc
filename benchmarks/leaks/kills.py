"""Pulling the plug on a soak: `python -m benchmarks.leaks.kills [--trials 20]`.

Each trial soaks a plugin that leaks or one that does not (in turn), and kills the judge, the supervisor or
the soaked worker with SIGKILL at a random moment. A run that the harness did not end is resumed. Told is
whether ever a leak was called clean, whether a line of the soak's journal was lost that stood there before,
and whether anything went on running.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from certify.measure.soak.journal import read_lines
from certify.record.journal import read_journal
from certify.verdict.assemble import assemble
from tests.defects.catalogue import all_defects, sound

TARGETS = ("judge", "supervisor", "worker")
LEAKING = "keeps_every_image"
# Seconds of a quick soak in which the moment is drawn; the one that leaks is found out soon.
WINDOWS = {"sound": 10.0, LEAKING: 3.0}


ROW = "{:<18} {:<11} {:>6} {:>5} {:<14} {:<14} {:>5} {:>6}"


class TooLate(Exception):
    """The target had ended by itself before the moment came."""


@dataclass(frozen=True)
class Trial:
    plugin: str
    target: str
    after: str
    code: int
    found: str
    resumed: str
    lost: int
    alive: int

    @property
    def wrong(self) -> bool:
        """A leak that was called clean, a clean plugin that was called leaking, or something lost or left."""
        outcomes = {self.found, self.resumed}
        false = "passed" in outcomes if self.plugin == LEAKING else "failed" in outcomes
        return false or bool(self.lost or self.alive)


def try_once(plugin: Path, name: str, target: str, after: float, out: Path) -> Trial:
    command = [sys.executable, "-m", "certify", "run"]
    with (out.parent / f"{out.name}.log").open("wb") as log:
        run = subprocess.Popen(
            [*command, str(plugin), "--suite", "soak", "--out", str(out)], stdout=log, stderr=log
        )
        journal = out / "soak-real.ndjson"
        while run.poll() is None and not read_lines(journal)[0]:
            time.sleep(0.05)
        time.sleep(after)
        if run.poll() is not None:
            raise TooLate
        before, _ = read_lines(journal)
        family = psutil.Process(run.pid).children(recursive=True)
        judge = psutil.Process(run.pid).children()[0]
        victim = {
            "judge": judge.pid,
            "supervisor": judge.children()[0].pid,
            "worker": before[-1]["worker"]["pid"] if before[-1]["kind"] == "begin" else _worker(before),
        }[target]
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            run.wait(120)
            raise TooLate from None
        code = run.wait(120)
        _, alive = psutil.wait_procs(family, timeout=15)
        after_it, _ = read_lines(journal)
        lost = sum(line not in after_it for line in before)
        found = _outcome(out)
        again = subprocess.run(
            [*command, "--resume", str(out)], stdout=log, stderr=log, timeout=300, check=False
        )
    # 2: the run had come to an end of its own.
    resumed = _outcome(out) if again.returncode != 2 else "-"
    return Trial(name, target, f"{after:.1f} s", code, found, resumed, lost, len(alive))


def _worker(lines: list[dict[str, object]]) -> int:
    begun = next(line for line in reversed(lines) if line["kind"] == "begin")
    return int(begun["worker"]["pid"])  # type: ignore[index]


def _outcome(out: Path) -> str:
    results = assemble(read_journal(out / "journal.ndjson"))
    return next(row.outcome.value for row in results.requirements if row.id == "leak.memory")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    plugins = {"sound": sound(), LEAKING: next(one for one in all_defects() if one.name == LEAKING)}
    wrong = 0
    print(ROW.format("plugin", "killed", "after", "code", "leak.memory", "resumed", "lost", "alive"))
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
        for name, defect in plugins.items():
            defect.build(Path(scratch) / name)
        for number in range(arguments.trials):
            name, target = list(plugins)[number % 2], TARGETS[number % len(TARGETS)]
            after = draw.uniform(0, WINDOWS[name])
            trial = None
            while trial is None:
                out = Path(scratch) / f"run-{number}-{after:.3f}"
                try:
                    trial = try_once(Path(scratch) / name, name, target, after, out)
                except TooLate:
                    after /= 2
            wrong += trial.wrong
            print(ROW.format(*vars(trial).values()), flush=True)
    load = os.getloadavg()[0]
    print(json.dumps({"trials": arguments.trials, "wrong": wrong, "load": round(load, 1)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
