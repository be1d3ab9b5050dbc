"""Every output of a run, from the same results."""

from __future__ import annotations

from pathlib import Path

from certify.outputs.files import replace_file
from certify.outputs.junit import to_junit
from certify.record import Results


def write_outputs(results: Results, out: Path) -> None:
    """Writes results.json, junit.xml and report.html into the run's folder. Raises OSError."""
    from certify.reports.html import render_report

    replace_file(out / "results.json", results.to_json())
    replace_file(out / "junit.xml", to_junit(results))
    replace_file(out / "report.html", render_report(results, out))
