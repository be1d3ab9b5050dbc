"""Running the suites' tests for one candidate, by pytest in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from certify.run.pytest_plugin import CertifyPlugin
from certify.run.state import Run


def run_suites(run: Run) -> None:
    """pytest in this process, with its own configuration and no conftest and no plugin but ours.

    What goes wrong with it is entered as trouble. Raises KeyboardInterrupt where it was interrupted, and what
    `Run.plugin` raises.
    """
    root = run.catalogue.root
    arguments = [
        "-c",
        str(root / "pytest.ini"),
        "--rootdir",
        str(root),
        "--noconftest",
        "--import-mode=importlib",
    ]
    arguments += ["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler", "--strict-markers"]
    # A test file that does not load is told as trouble, and the others are run.
    arguments += ["--continue-on-collection-errors"]
    arguments += ["-p", "no:warnings", "-p", "no:threadexception", "-p", "no:unraisableexception", "-s"]
    folders = sorted({str(root / row.requirement.suite) for row in run.plan.to_run})
    if not folders:
        return
    plugin = CertifyPlugin(run)
    with _no_plugins_of_others():
        code = pytest.main([*arguments, *folders], plugins=[plugin])
    if plugin.ended_by is not None:
        raise plugin.ended_by
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        run.trouble.append(f"pytest ended with {pytest.ExitCode(code).name}")


@contextmanager
def _no_plugins_of_others() -> Iterator[None]:
    """Just while pytest starts and runs: a process that runs several candidates keeps its environment."""
    name = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
