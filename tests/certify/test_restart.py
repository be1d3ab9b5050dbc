"""The clean restart: nothing of the caller's comes through, and exit codes keep their meaning."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from certify.run import restart
from certify.run.request import RunRequest
from certify.run.restart import clean_environment, run_cleanly

FOREIGN = {
    "PYTHONPATH": "/evil",
    "PYTHONSTARTUP": "/evil.py",
    "PYTHONHASHSEED": "0",
    "PYTEST_ADDOPTS": "-p evil",
    "PYTEST_PLUGINS": "evil",
    "LD_PRELOAD": "/evil.so",
    "LD_LIBRARY_PATH": "/evil",
    "DYLD_INSERT_LIBRARIES": "/evil.dylib",
    "GITHUB_TOKEN": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "CERTIFY_KEY": "secret",
}


def test_the_environment_of_a_run_holds_nothing_that_changes_python_and_no_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    kept = clean_environment()
    assert not set(kept) & set(FOREIGN)
    assert not [name for name in kept if name.startswith(("PYTHON", "PYTEST_", "LD_", "DYLD_"))]


def test_what_a_run_needs_comes_through_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SD_CERTIFY_CACHE", "/models")
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("TERM", raising=False)
    kept = clean_environment()
    assert (kept["PATH"], kept["SD_CERTIFY_CACHE"], kept["CI"]) == (os.environ["PATH"], "/models", "true")
    assert "TERM" not in kept


def child(monkeypatch: pytest.MonkeyPatch, code: str, out: Path = Path("/nowhere"), kept: bool = True) -> int:
    monkeypatch.setattr(restart, "_CHILD", code)
    return run_cleanly(RunRequest(plugin="/x", out=str(out)), kept)


def test_the_child_is_isolated_and_stands_in_an_empty_folder(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    told = (
        "import json, os, sys; print(json.dumps([sys.flags.isolated, sys.dont_write_bytecode, "
        "os.listdir(), sys.argv[2], sorted(os.environ)]))"
    )
    assert child(monkeypatch, told) == 0
    isolated, no_bytecode, files, order, environment = json.loads(capfd.readouterr().out)
    assert (isolated, no_bytecode, files, json.loads(order)["plugin"]) == (1, True, [], "/x")
    assert not set(environment) & set(FOREIGN)


@pytest.mark.parametrize(("code", "given"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (120, 4)])
def test_the_childs_exit_code_is_given_back(monkeypatch: pytest.MonkeyPatch, code: int, given: int) -> None:
    assert child(monkeypatch, f"raise SystemExit({code})") == given


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
@pytest.mark.parametrize(
    ("kept", "measured", "rest"),
    [
        (
            True,
            True,
            "; `certify report '{out}'` shows what was measured, and `certify run --resume '{out}'` goes on.",
        ),
        (True, False, "."),
        (False, True, "."),
    ],
)
def test_a_run_that_is_killed_is_a_harness_error_and_points_to_what_was_measured(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    kept: bool,
    measured: bool,
    rest: str,
) -> None:
    out = tmp_path / "my run"
    out.mkdir()
    if measured:
        (out / "journal.ndjson").touch()
    assert child(monkeypatch, KILLED, out, kept) == 4
    told = "certify: the run was ended by SIGKILL" + rest.format(out=out) + "\n"
    assert capfd.readouterr() == ("", told)


def test_what_escapes_from_a_run_is_a_harness_error_and_no_rejection(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = restart._CHILD.replace("main_restarted(sys.argv[2])", "1 / 0")
    assert broken != restart._CHILD
    assert child(monkeypatch, broken) == 4
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_run_that_cannot_even_begin_is_a_harness_error_and_no_rejection(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = restart._CHILD.replace("from certify.run.judge import", "from certify.no_such_module import")
    assert broken != restart._CHILD
    assert child(monkeypatch, broken) == 4
    assert "no_such_module" in capfd.readouterr().err


def test_the_callers_signal_handlers_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    child(monkeypatch, "pass")
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be caught there")
def test_the_end_that_is_asked_of_us_is_asked_of_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(20)\n"
    )
    assert child(monkeypatch, told) == 3
