"""A run of static requirements alone starts nothing that only a plugin in its worker would need."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify import run
from certify.host.launch import Host
from certify.progress import Silent
from certify.run import Order, execute
from tests.defects.catalogue import sound


def test_it_installs_nothing_builds_no_model_and_warms_no_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[bool] = []

    class Watched(Host):
        def __init__(self, scratch: Path, warm: bool = True) -> None:
            warmed.append(warm)
            super().__init__(scratch, warm)

    monkeypatch.setattr(run, "Host", Watched)
    monkeypatch.setattr(run, "provide", lambda *_: pytest.fail("it installed packages"))
    monkeypatch.setattr(run, "_tiny_model", lambda *_: pytest.fail("it built a model"))
    folder = sound().build(tmp_path / "plugin")
    (folder / "requirements.txt").write_text("a-package-that-is-not-there<2\n", "utf-8")
    order = Order(str(folder), out=str(tmp_path / "out"), index=str(tmp_path))
    results, _ = execute(order, Silent(), selected={"licence.files", "deps.form"})
    told = {row.id: row.outcome.value for row in results.requirements if row.attempts}
    assert told == {"licence.files": "passed", "deps.form": "passed"}
    assert warmed == [False]
