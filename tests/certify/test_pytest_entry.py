"""The entry that every pytest run of an environment with sd-certify loads: it costs and does nothing."""

from __future__ import annotations

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
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


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
    assert "certify.pytest_plugin" not in sys.modules
"""


def test_an_ordinary_pytest_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "test_ordinary.py").write_text(ORDINARY.format(heavy=HEAVY), "utf-8")
    code = "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    words = ["-p", "certify.pytest_entry", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = python(code, *words, "-q", "test_ordinary.py", cwd=tmp_path)
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
    code = "import pytest; sys.exit(pytest.main(['-p', 'certify.pytest_entry', *sys.argv[1:]]))"
    # The words must come first, as they do where the entry point is installed.
    code = code.replace("['-p', 'certify.pytest_entry', *sys.argv[1:]]", "sys.argv[1:], [certify.pytest_entry]")
    done = python("import certify.pytest_entry; " + code, "certify", "run", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "pytest.ini before certify began" in done.stderr
    assert "Traceback" not in done.stderr
