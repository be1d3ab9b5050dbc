"""`pytest certify run PLUGIN`: the same run through pytest's own command; and the fixture `soak`.

Loaded in every pytest run of an environment that has sd-certify, so it imports nothing and does nothing
unless the words are `certify run` or a test asks for the fixture. An ini file of the candidate is read by
pytest before this hook, so `certify run` is the form for a gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certify.measure.soak.function import FunctionSoak


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: Sequence[str]) -> None:
    words = list(early_config.invocation_params.args)
    if [str(word) for word in words[:2]] == ["certify", "run"]:
        _run_instead(early_config, [str(word) for word in words[1:]])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak(calls): how many calls the fixture soak makes, 3000 by default")


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> Callable[[Callable[[], object]], FunctionSoak]:
    """Calls a function some thousand times in a process of its own; fails the test where it leaks."""
    from certify.measure.soak.function import CALLS, check, runs_here

    if not runs_here():
        pytest.skip("a soak reads /proc, so it needs Linux")
    marker = request.node.get_closest_marker("soak")
    calls = int(marker.args[0]) if marker and marker.args else CALLS
    return lambda call: check(call, calls)


def _run_instead(config: Any, words: list[str]) -> None:
    """Runs `certify run ...` in pytest's place and leaves with its exit code."""
    import os
    import sys

    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    if config.inipath is not None:
        print(
            f"warning: pytest read {config.inipath} before certify began; use `certify run` as a gate.",
            file=sys.stderr,
        )
    from certify.cli.main import main

    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
