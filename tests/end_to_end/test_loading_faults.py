"""Candidates that fault while they are loaded: one requirement tells, the rest is unmeasured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from certify.record.results import Results
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.sandbox.host.host import Host
from certify.terminal.progress import Silent
from certify.terms.outcomes import Outcome
from tests.defects.catalogue import sound
from tests.proof.bench import SHORT, Bench

pytestmark = pytest.mark.slow

FAULTS = {
    "raises": ("raise RuntimeError('no licence server')", "RuntimeError: no licence server"),
    "exits with 0": ("import os; os._exit(0)", "exited with code 0"),
    "leaves by sys.exit": ("import sys; sys.exit(0)", "exited with code"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
    "hangs": ("import time; time.sleep(3600)", "no answer within the deadline"),
    "is not Python": ("def (", "SyntaxError"),
    "asks for what is not there": ("import a_library_that_nobody_has", "ModuleNotFoundError"),
    "fills the memory": ("x = []\nwhile True: x.append(b'x' * (64 << 20))", "memory"),
}


@pytest.fixture
def host(bench: Bench) -> Iterator[Host]:
    """With little memory for a worker, as one of these fills all that there is."""
    host = bench.host
    before = host.limits
    host.limits = {**before, "memory": 3 << 30}
    yield host
    host.limits = before


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_at_loading_is_told_once_and_nothing_passes_by_it(
    tmp_path: Path, host: Host, name: str
) -> None:
    code, told = FAULTS[name]
    # Filling gigabytes takes its time on a busy machine.
    results = _run(tmp_path, host, code, 30 if name == "fills the memory" else 3)
    entry = _row(results, "sdk.entry-loads")
    assert entry.outcome is Outcome.FAILED
    assert told in entry.message
    assert results.verdict.name == "REJECTED"
    assert results.verdict.exit_code == 1
    asked = [
        row
        for row in results.requirements
        if row.suite in ("languages", "soak") and row.id != "lang.declared"
    ]
    assert {row.outcome for row in asked} == {Outcome.NOT_EVIDENCED}


def _run(tmp_path: Path, host: Host, code: str, deadline: float) -> Results:
    folder = sound().build(tmp_path / "plugin")
    (folder / "sound" / "plugin.py").write_text(code, "utf-8")
    order = RunRequest(plugin=str(folder), out=str(tmp_path / "out"))
    results, _ = execute(order, Silent(), host=host, profile=SHORT.with_deadline(deadline))
    return results


def _row(results: Results, identifier: str):  # type: ignore[no-untyped-def]
    return next(row for row in results.requirements if row.id == identifier)
