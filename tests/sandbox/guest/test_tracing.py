"""Which lines hold what was allocated, by either way of tracing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from certify.sandbox.guest.tracing import PythonTracing, start_tracing

KEPT: list[object] = []


def keep(size: int) -> None:
    KEPT.append(bytes(size))


def test_the_line_that_keeps_something_of_each_call_is_told(tmp_path: Path) -> None:
    tracing = PythonTracing()
    for _ in range(50):
        keep(2_000)
    places = tracing.stop()
    KEPT.clear()
    (mine,) = [
        place for place in places if place["place"] == f"{__file__}:{keep.__code__.co_firstlineno + 1}"
    ]
    assert mine["count"] >= 50
    assert mine["bytes"] >= 100_000


# Tracing all of a process is no business of the one that runs the tests.
NATIVE = """
import sys, numpy, torch
from pathlib import Path
from certify.sandbox.guest.tracing import NativeTracing, start_tracing
kept = []
def keep():
    kept.append(torch.zeros(1000))
tracing = start_tracing(Path(sys.argv[1]), sys.argv[2])
assert isinstance(tracing, NativeTracing)
for _ in range(50): keep()
print([place for place in tracing.stop() if place["bytes"] > 200_000])
"""


@pytest.mark.skipif(importlib.util.find_spec("memray") is None, reason="the extra leaks")
def test_memray_names_the_line_that_keeps_tensors(tmp_path: Path) -> None:
    script = tmp_path / "plugin.py"
    script.write_text(NATIVE, "utf-8")
    path = f"{Path(__file__).parents[3]}:{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONPATH": path}
    output = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert f"{script}:7" in output
    assert list(tmp_path.iterdir()) == [script], "its file is taken away"


def test_without_memray_python_traces_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "memray", None)
    tracing = start_tracing(tmp_path, str(tmp_path))
    assert isinstance(tracing, PythonTracing)
    tracing.stop()
