"""Loading and unloading is a stratum of its own: what stays of each load is seen there and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from certify.plan.profiles import PROFILES
from certify.record.results import Results
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.sandbox.host.host import Host
from certify.terminal.progress import Silent
from certify.terms.outcomes import Outcome
from tests.defects.catalogue import sound
from tests.sensitivity import SHORT

pytestmark = pytest.mark.slow
LOADS = replace(
    SHORT, call_deadline=60, soak_seconds=3, soak_calls=120, instant_calls=120, loads=PROFILES["store"].loads
)
KEEPS = """
_EVER: list[object] = []


def register(plugin: object) -> None:
    _EVER.append([plugin, b"x" * 200_000])
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host")) as running:
        yield running


def _run(folder: Path, host: Host) -> Results:
    request = RunRequest(plugin=str(folder), out=str(folder.parent / "out"))
    selected = {"leak.memory", "leak.handles"}
    return execute(request, Silent(), host=host, profile=LOADS, selected=selected)[0]


def _memory(results: Results) -> tuple[Outcome, str]:
    return next((row.outcome, row.message) for row in results.requirements if row.id == "leak.memory")


def test_a_plugin_that_is_let_go_leaves_nothing(tmp_path: Path, host: Host) -> None:
    results = _run(sound().build(tmp_path / "plugin"), host)
    assert _memory(results) == (Outcome.PASSED, "")
    assert any("64 times loaded, called and closed" in claim for claim in results.claims)


def test_a_plugin_that_registers_itself_for_good_leaks_with_each_load(tmp_path: Path, host: Host) -> None:
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
    outcome, message = _memory(_run(folder, host))
    assert outcome is Outcome.FAILED
    assert "loads engine" in message
