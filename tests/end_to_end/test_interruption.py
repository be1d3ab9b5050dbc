"""Pulling the plug: the record stays readable, and nothing goes on running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from certify.measure.soak.journal import read_lines
from certify.record.journal import read_journal
from tests.end_to_end.commands import CERTIFY, ROOT, certify

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("soaks")]
SOUND = ROOT / "tests" / "defects" / "sound"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.proof),
        pytest.param(signal.SIGINT, marks=pytest.mark.proof),
    ],
)
def test_a_run_that_is_ended_leaves_a_record_and_no_process(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    command = [CERTIFY, "run", str(SOUND), "--out", str(out)]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_until_started(out / "journal.ndjson", "leak.memory")
    family = psutil.Process(run.pid).children(recursive=True)
    assert len(family) >= 4, "front, judge, supervisor, nursery and worker were expected"
    if number == signal.SIGINT:
        # Ctrl-C on a terminal reaches the whole group.
        os.killpg(run.pid, number)
    else:
        os.kill(run.pid, number)
    _, errors = run.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert b"Traceback" not in errors
    events = [event["event"] for event in read_journal(out / "journal.ndjson")]
    assert "requirement" in events
    assert "end" not in events

    again = certify("report", out)
    assert again.returncode == 3
    assert "The run was interrupted" in again.stdout
    assert (out / "report.html").is_file()


def _hear_ctrl_c() -> None:
    """A shell starts what runs in its background with SIGINT ignored; this run is in nobody's background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_until_started(journal: Path, identifier: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        events = read_journal(journal) if journal.is_file() else []
        if any(event["event"] == "requirement-started" and event["id"] == identifier for event in events):
            return
        time.sleep(0.1)
    raise AssertionError("the soak did not begin")


@pytest.mark.proof
def test_a_run_that_was_killed_is_resumed_and_a_soak_begins_anew(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = subprocess.Popen([CERTIFY, "run", str(SOUND), "--suite", "soak", "--out", str(out)], cwd=ROOT)
    _wait_until_started(out / "journal.ndjson", "leak.memory")
    deadline = time.monotonic() + 60
    while len(read_lines(out / "soak-real.ndjson")[0]) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    psutil.Process(run.pid).children()[0].kill()
    assert run.wait(30) == 4
    kept, _ = read_lines(out / "soak-real.ndjson")
    assert len(kept) >= 5

    again = certify("run", "--resume", out)
    assert "leak.memory  passed" in again.stdout
    lines, _ = read_lines(out / "soak-real.ndjson")
    assert lines[: len(kept)] == kept
    assert [line["kind"] for line in lines].count("begin") == 2
    results = (out / "results.json").read_text("utf-8")
    assert "the run was interrupted after" in results
    assert "of 2 segments" in results

    once_more = certify("run", "--resume", out)
    assert once_more.returncode == 2
    assert "came to its end" in once_more.stderr
