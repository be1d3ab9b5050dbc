"""Loading and unloading is a stratum of its own: what stays of each load is seen there and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from certify.plan.profiles import PROFILES
from certify.record.results import Results
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.terminal.progress import Silent
from certify.terms.outcomes import Outcome
from tests.defects.catalogue import sound
from tests.proof.bench import SHORT, Bench

pytestmark = [pytest.mark.slow, pytest.mark.proof, pytest.mark.xdist_group("soaks")]
LOADS = replace(
    SHORT, call_deadline=60, soak_seconds=3, soak_calls=120, instant_calls=120, loads=PROFILES["store"].loads
)
KEEPS = """
_EVER: list[object] = []


def register(plugin: object) -> None:
    _EVER.append([plugin, b"x" * 200_000])
"""


def _run(folder: Path, bench: Bench) -> Results:
    order = RunRequest(plugin=str(folder), out=str(folder.parent / "out"))
    selected = {"leak.memory", "leak.handles"}
    return execute(order, Silent(), host=bench.host, profile=LOADS, selected=selected)[0]


def _memory(results: Results) -> tuple[Outcome, str]:
    return next((row.outcome, row.message) for row in results.requirements if row.id == "leak.memory")


def test_a_plugin_that_is_let_go_leaves_nothing(tmp_path: Path, bench: Bench) -> None:
    results = _run(sound().build(tmp_path / "plugin"), bench)
    assert _memory(results) == (Outcome.PASSED, "")
    assert any("64 times loaded, called and closed" in claim for claim in results.claims)


def test_a_plugin_that_registers_itself_for_good_leaks_with_each_load(tmp_path: Path, bench: Bench) -> None:
    folder = sound().build(tmp_path / "plugin")
    (folder / "sound" / "registry.py").write_text(KEEPS, "utf-8")
    module = folder / "sound" / "plugin.py"
    text = module.read_text("utf-8")
    changed = text.replace(
        "        self.sdk = sdk", "        registry.register(self)\n        self.sdk = sdk", 1
    )
    assert changed != text
    module.write_text(
        changed.replace("import hashlib", "import hashlib\n\nfrom sound import registry", 1), "utf-8"
    )
    outcome, message = _memory(_run(folder, bench))
    assert outcome is Outcome.FAILED
    assert "loads engine" in message
