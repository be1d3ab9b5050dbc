"""Can each requirement fail, and does nothing else? `python -m tests.sensitivity` prints the table.

Runs the sound plugin and every defect through the whole of profile quick (with a shorter soak), and compares
what was found with what stands beside each defect, both ways. Each run draws afresh what it asks; with
`--seed` all draw the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from certify.host.launch import Host
from certify.profiles import PROFILES, Profile
from certify.progress import Silent
from certify.record import Outcome, Results
from certify.requirements import load_catalogue
from certify.run.request import RunRequest
from certify.run.run import execute
from tests.defects.catalogue import NO_TOOL, OPEN, Defect, all_defects, sound
from tests.defects.index import advisory_service, build_index

SHORT = Profile("quick", isolation="L1", soak_seconds=20, soak_calls=240, load_deadline=30, call_deadline=6)
assert SHORT.isolation == PROFILES["quick"].isolation


@dataclass(frozen=True)
class Row:
    """One defect's run: what was to be found and what was, as id -> outcome where it differs from sound."""

    name: str
    suite: str
    expected: dict[str, str]
    found: dict[str, str]
    verdict: str
    seconds: float
    messages: dict[str, str]

    @property
    def missed(self) -> list[str]:
        return [name for name, outcome in self.expected.items() if self.found.get(name) != outcome]

    @property
    def extra(self) -> list[str]:
        return [name for name, outcome in self.found.items() if self.expected.get(name) != outcome]


def measured_of(defect: Defect) -> frozenset[str]:
    """Everything; but texts of licences change no code, and the sound plugin's is soaked once."""
    every = load_catalogue().select([], [])
    if defect.suite == "licensing" and defect.file.suffix == ".toml":
        return every - {row.id for row in load_catalogue().requirements if row.suite == "leak_soak"}
    return every


def differences(results: Results, measured: Set[str]) -> dict[str, str]:
    """Outcomes that are not the sound plugin's: it passes everything but what one run cannot evidence."""
    usual = {name: Outcome.NOT_EVIDENCED if name in OPEN else Outcome.PASSED for name in measured}
    return {
        row.id: row.outcome.value
        for row in results.requirements
        if row.id in measured and row.outcome is not usual[row.id]
    }


def measure(defect: Defect, host: Host, index: Path, advisories: str, seed: str = "") -> Row:
    with tempfile.TemporaryDirectory(prefix="defect-") as name:
        folder = defect.build(Path(name) / "plugin")
        out = str(Path(name) / "out")
        request = RunRequest(str(folder), out=out, seed=seed, index=str(index), advisories=advisories)
        measured = measured_of(defect)
        results, _ = execute(request, Silent(), host=host, profile=SHORT, selected=measured)
    # What takes a program that is not here stays open, whatever the defect.
    expected = {name: outcome.value for name, outcome in defect.expected.items() if name not in NO_TOOL}
    found = differences(results, measured)
    messages = {row.id: row.message for row in results.requirements if row.id in found}
    return Row(defect.name, defect.suite, expected, found, results.verdict.name, results.seconds, messages)


def measure_all(names: list[str], seed: str = "") -> list[Row]:
    """Runs these defects one after another, with one nursery for all of them."""
    by_name = {defect.name: defect for defect in [sound(), *all_defects()]}
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="sensitivity-") as scratch,
        Host(Path(scratch)) as host,
        advisory_service() as advisories,
    ):
        index = build_index(Path(scratch) / "index")
        for name in names:
            rows.append(measure(by_name[name], host, index, advisories, seed))
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
