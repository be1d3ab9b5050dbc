"""A run of static requirements alone starts no worker, and says that it needed none."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify.run.request import RunRequest
from certify.run.run import execute
from certify.terminal.progress import Silent
from tests.defects.catalogue import sound


def test_it_installs_nothing_builds_no_model_and_starts_no_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certify.run.state.Host", lambda *_: pytest.fail("it started a host"))
    folder = sound().build(tmp_path / "plugin")
    (folder / "requirements.txt").write_text("a-package-that-is-not-there<2\n", "utf-8")
    request = RunRequest(str(folder), out=str(tmp_path / "out"), index=str(tmp_path))
    results, _ = execute(request, Silent(), selected={"licence.files", "deps.form"})
    measured = {row.id: row.outcome.value for row in results.requirements if row.attempts}
    assert measured == {"licence.files": "passed", "deps.form": "passed"}
    assert not results.isolation.needed
    assert results.verdict.name == "INCOMPLETE"
    assert not any("solation" in reason for reason in results.verdict.reasons)
