"""Running the suites' tests for one candidate, by pytest in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from certify.context import RunContext
from certify.pytest_plugin import CertifyPlugin
from certify.requirements import Catalogue


def run_suites(context: RunContext, catalogue: Catalogue) -> None:
    """pytest in this process, with its own configuration and no conftest and no plugin but ours.

    What goes wrong with it is entered as trouble; raises KeyboardInterrupt where it was interrupted.
    """
    root = catalogue.root
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
    folders = sorted({str(root / row.requirement.suite) for row in context.plan.to_run})
    if not folders:
        return
    with _no_plugins_of_others():
        code = pytest.main([*arguments, *folders], plugins=[CertifyPlugin(context)])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        context.trouble.append(f"pytest ended with {pytest.ExitCode(code).name}")


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
