"""Can each requirement fail, and does nothing else? `python -m tests.sensitivity` prints the table.

Runs the sound plugin and every defect through the whole of profile quick (with a shorter soak), and compares
what was found with what stands beside each defect, both ways. Each run draws afresh what it asks; with
`--seed` all draw the same. Nothing is taken from earlier runs; `pytest -m proof` (tests/end_to_end/
test_sensitivity.py) is the same with one seed, and leaves out what was shown to tell nothing more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from certify.plan.catalogue import load_catalogue
from tests.defects.catalogue import OPEN, Defect, all_defects, sound
from tests.proof.bench import Bench, Row
from tests.proof.scope import ABOUT_LEAKS, EVERYTHING


def measured_of(defect: Defect) -> frozenset[str]:
    """Everything; but texts of licences change no code, and the sound plugin's is soaked once."""
    if defect.suite == "licensing" and defect.file.suffix == ".toml":
        return EVERYTHING - ABOUT_LEAKS
    return EVERYTHING


def measure_all(names: list[str], seed: str = "") -> list[Row]:
    """Runs these defects one after another, with one nursery for all of them."""
    by_name = {defect.name: defect for defect in [sound(), *all_defects()]}
    rows = []
    with tempfile.TemporaryDirectory(prefix="sensitivity-") as scratch, Bench(Path(scratch)) as bench:
        for name in names:
            rows.append(bench.measure(by_name[name], measured_of(by_name[name]), seed))
            print(f"{rows[-1].seconds:5.1f} s  {name}", file=sys.stderr, flush=True)
    return rows


def measure_in_parallel(names: list[str], jobs: int, seed: str = "") -> list[Row]:
    """The same in `jobs` processes, each with its share."""
    parts = [names[index::jobs] for index in range(jobs)]
    command = [sys.executable, "-m", "tests.sensitivity", "--json", f"--seed={seed}"]
    running = [
        subprocess.Popen([*command, *part], stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
        for part in parts
        if part
    ]
    texts = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a part of the sensitivity run failed; see its traceback above")
    rows = [Row(**row) for text in texts for row in json.loads(text)]
    return sorted(rows, key=lambda row: names.index(row.name))


def table(rows: list[Row]) -> str:
    """Requirement by requirement: defects caught, missed, and false alarms over all runs."""
    lines = [f"{'requirement':<28} {'defects':>7} {'caught':>7} {'missed':>7} {'false alarms':>13}"]
    totals = [0, 0, 0, 0]
    for row in load_catalogue().requirements:
        aimed = [run for run in rows if run.expected.get(row.id) in ("failed", "warned")]
        missed = sum(row.id in run.missed for run in aimed)
        alarms = sum(row.id in run.extra and row.id not in run.expected for run in rows)
        counts = [len(aimed), len(aimed) - missed, missed, alarms]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        told = "   else open, so INCOMPLETE at profile certified" if row.id in OPEN else ""
        lines.append(f"{row.id:<28} {counts[0]:>7} {counts[1]:>7} {counts[2]:>7} {counts[3]:>13}{told}")
    lines.append(f"{'total':<28} {totals[0]:>7} {totals[1]:>7} {totals[2]:>7} {totals[3]:>13}")
    wrong = [
        f"{run.name}: missed {run.missed}, extra { {name: run.messages[name][:300] for name in run.extra} }"
        for run in rows
        if run.missed or run.extra
    ]
    return "\n".join([*lines, f"{len(rows)} plugins, {len(rows) - len(wrong)} exactly as expected", *wrong])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="defects to run (default: all)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="run the named ones here and print JSON")
    parser.add_argument("--seed", default="", help="the root seed of every run (default: a fresh one each)")
    arguments = parser.parse_args()
    names = arguments.names or [defect.name for defect in [sound(), *all_defects()]]
    if arguments.json:
        print(json.dumps([vars(row) for row in measure_all(names, arguments.seed)]))
        return 0
    rows = measure_in_parallel(names, arguments.jobs, arguments.seed)
    print(table(rows))
    return 1 if any(row.missed or row.extra for row in rows) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:
        traceback.print_exc()
        sys.exit(2)
