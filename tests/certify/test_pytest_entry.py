"""The entry that every pytest run of an environment with sd-certify loads: it costs and does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from certify import pytest_entry

ROOT = Path(__file__).parents[2]
HEAVY = "torch diffusers transformers numpy pydantic rich certify.cli certify.requirements certify.record"


def python(code: str, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    command = [sys.executable, "-c", path + code, *words]
    # With the entry alone, whether or not this environment has it installed.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


def run_pytest(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = "import pytest, certify.pytest_entry as entry; sys.exit(pytest.main(sys.argv[1:], [entry]))"
    return python(code, *words, cwd=cwd)


def test_the_entry_imports_next_to_nothing() -> None:
    code = (
        "import pytest; before = set(sys.modules); import certify.pytest_entry; "
        "print(*sorted(set(sys.modules) - before))"
    )
    assert python(code).stdout.split() == ["certify", "certify.pytest_entry"]


ORDINARY = """\
import sys

def test_nothing_heavy_came_with_the_entry():
    assert not set({heavy!r}.split()) & set(sys.modules)

def test_the_marks_and_fixtures_of_a_run_are_not_there(request):
    assert "certify.run.pytest_plugin" not in sys.modules
"""


def test_an_ordinary_pytest_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "test_ordinary.py").write_text(ORDINARY.format(heavy=HEAVY), "utf-8")
    done = run_pytest(tmp_path, "-q", "-p", "no:cacheprovider", "test_ordinary.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        (["certify", "run", "plugin"], True),
        (["certify", "run"], True),
        (["certify"], False),
        (["certify", "list"], False),
        (["tests", "certify", "run"], False),
        (["-k", "certify run"], False),
        ([], False),
    ],
)
def test_only_the_words_certify_run_start_a_run(
    monkeypatch: pytest.MonkeyPatch, words: list[str], ran: bool
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(pytest_entry, "_run_instead", lambda config, rest: started.append(rest))
    config = SimpleNamespace(invocation_params=SimpleNamespace(args=tuple(words)))
    pytest_entry.pytest_load_initial_conftests(config, words)  # type: ignore[arg-type]
    assert started == ([words[1:]] if ran else [])


def test_pytest_certify_run_ends_with_the_code_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    done = run_pytest(tmp_path, "certify", "run", "nowhere")
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "pytest.ini before certify began" in done.stderr
    assert "Traceback" not in done.stderr
