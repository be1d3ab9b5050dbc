"""The last lines of a run: verdict, counts, the path of the report, and the next step."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from certify.record.results import Results
from certify.terminal.lines import log_line
from certify.terms.outcomes import Outcome

SHOWN = 8


def last_words(results: Results, out: Path) -> str:
    verdict = results.verdict
    counts = Counter(row.outcome.value for row in results.requirements)
    outcomes = ", ".join(f"{number} {name}" for name, number in counts.items())
    ran = sum(row.attempts > 0 for row in results.requirements)
    lines = [
        f"{verdict.name} at profile {results.profile}: {outcomes} ({ran} of {results.planned} planned ran)"
    ]
    lines += [f"  {log_line(reason)}" for reason in verdict.reasons[:SHOWN]]
    if len(verdict.reasons) > SHOWN:
        lines.append(f"  ... and {len(verdict.reasons) - SHOWN} more")
    lines.append(f"report: {out / 'report.html'}")
    return "\n".join([*lines, _next_step(results, out)])


def _next_step(results: Results, out: Path) -> str:
    failed = [row for row in results.requirements if row.counts and row.outcome is Outcome.FAILED]
    if failed:
        return f"next: {log_line(failed[0].fix, 400)}\n      then: {failed[0].replay}"
    if results.verdict.name == "INCOMPLETE" and not results.seconds:
        return f"next: `certify run --resume {shlex.quote(str(out))}` continues this run."
    if results.verdict.name == "INCOMPLETE":
        return "next: the report lists what is not evidenced; `certify doctor` lists what this machine lacks."
    if results.verdict.name == "ERROR":
        return "next: this is a fault of the harness; the traceback is in the report and in journal.ndjson."
    if results.profile == "quick":
        return "next: run `--profile store`, the profile of a store's gate."
    return f"next: `certify report {shlex.quote(str(out))}` writes the report again from the record."
