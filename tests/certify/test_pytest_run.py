"""Running the suites: what pytest itself trips over is trouble of the harness, and never a quiet end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from certify.evidence import EvidenceBox
from certify.requirements import load_catalogue
from certify.run.outcomes import OpenRequirement
from certify.run.pytest_session import run_suites


def test_a_suite_that_does_not_load_is_trouble_and_no_interruption(tmp_path: Path) -> None:
    catalogue = load_catalogue()
    (tmp_path / "pytest.ini").write_bytes((catalogue.root / "pytest.ini").read_bytes())
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "test_made.py").write_text("import a_library_that_nobody_has\n", "utf-8")
    planned = SimpleNamespace(requirement=SimpleNamespace(id="made.up", suite="made"))
    plan = SimpleNamespace(to_run=[planned], judges_of_faults={})
    run = SimpleNamespace(plan=plan, catalogue=SimpleNamespace(root=tmp_path), trouble=[])
    run_suites(cast(Any, run))
    trouble = " ".join(run.trouble)
    assert "made/test_made.py was not collected" in trouble
    assert "a_library_that_nobody_has" in trouble


def test_a_measured_result_carries_the_texts_of_its_row(tmp_path: Path) -> None:
    for row in load_catalogue().requirements:
        result = OpenRequirement(row, True, EvidenceBox(tmp_path, row.id), 1).result("")
        for key in ("id", "suite", "level", "title", "sentence", "source", "why", "fix", "effort"):
            assert getattr(result, key) == getattr(row, key)
