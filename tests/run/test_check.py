"""`certify check`: the static requirements alone, with the outcomes that a whole run has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from certify.cli.main import main
from certify.run.check import CheckReport, CheckRequest, check
from certify.terms.outcomes import Outcome
from tests.defects.catalogue import Defect, all_defects, sound
from tests.proof.scope import CHECKED

Captured = pytest.CaptureFixture[str]


def checked(plugin: Path, limit: float = 20.0, **more: tuple[str, ...]) -> CheckReport:
    return check(CheckRequest(plugin, replay=lambda name: name, **more), limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("defect", [sound(), *all_defects()], ids=lambda defect: defect.name)
def test_every_static_finding_is_that_of_a_whole_run(defect: Defect, tmp_path: Path) -> None:
    report = checked(defect.build(tmp_path / "plugin"))
    differing = {
        row.id: row.outcome
        for row in report.results
        if row.id in CHECKED and row.outcome is not Outcome.PASSED
    }
    # What does not apply is in no plan.
    assert differing == {
        name: outcome
        for name, outcome in defect.expected.items()
        if name in CHECKED and outcome is not Outcome.NOT_APPLICABLE
    }


def test_nothing_of_the_plugin_is_executed(tmp_path: Path) -> None:
    folder = sound().build(tmp_path / "plugin")
    with (folder / "sound" / "plugin.py").open("a", encoding="utf-8") as source:
        source.write(f"\nopen({str(tmp_path / 'ran')!r}, 'w', encoding='utf-8')\n")
    assert checked(folder).exit_code == 0
    assert not (tmp_path / "ran").exists()


def test_what_is_not_finished_within_the_limit_is_not_evidenced_and_code_3(tmp_path: Path) -> None:
    report = checked(sound().build(tmp_path / "plugin"), limit=1e-6)
    assert report.results[-1].outcome is Outcome.NOT_EVIDENCED
    assert "Not finished within the limit" in report.results[-1].message
    assert report.exit_code == 3


def test_a_selection_without_a_static_requirement_measures_nothing_and_is_no_pass(tmp_path: Path) -> None:
    report = checked(sound().build(tmp_path / "plugin"), requirements=("sdk.same-seed",))
    assert (report.results, report.left_out, report.exit_code) == ((), 1, 3)


def test_it_says_that_it_is_a_part(tmp_path: Path, capsys: Captured) -> None:
    folder = sound().build(tmp_path / "plugin")
    (folder / "LICENSE").unlink()
    assert main(["check", str(folder), "--suite", "licensing"]) == 1
    out = capsys.readouterr().out
    assert "✗ licence.files  failed" in out
    assert f"again: certify check {folder} --requirement licence.files" in out
    assert "no verdict" in out


def test_as_json_it_holds_the_rows_and_the_exit_code(tmp_path: Path, capsys: Captured) -> None:
    folder = sound().build(tmp_path / "plugin")
    assert main(["check", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["complete"], report["exit_code"], report["candidate"]["name"]) == (False, 0, "sound")
    assert {row["outcome"] for row in report["requirements"] if row["counts"]} == {"passed"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--suite", "licencing"], 'Did you mean "licensing"?'),
        (["--requirement", "licence.file"], 'Did you mean "licence.files"?'),
        (["--profile", "quik"], 'Did you mean "quick"?'),
        (["--policy", "store"], "policy"),
    ],
)
def test_a_mistake_is_code_2(tmp_path: Path, capfd: Captured, words: list[str], sentence: str) -> None:
    assert main(["check", str(sound().build(tmp_path / "plugin")), *words]) == 2
    assert sentence in capfd.readouterr().err


def test_it_imports_neither_pytest_nor_numpy_nor_the_engine(tmp_path: Path) -> None:
    code = (
        "import sys; from certify.cli.main import main; code = main(sys.argv[1:]); "
        "heavy = {'pytest', 'numpy', 'torch', 'PIL', 'rich', 'jinja2', 'psutil', 'hypothesis'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    folder = str(sound().build(tmp_path / "plugin"))
    run: Callable[[str], subprocess.CompletedProcess[str]] = lambda text: subprocess.run(  # noqa: E731
        [sys.executable, "-c", text, "check", folder], capture_output=True, text=True, check=False
    )
    ran = run(code)
    assert ran.returncode == 0, ran.stderr
