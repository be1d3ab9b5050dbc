"""How pytest runs here: in two processes by itself, each file in one of them, and soaks one after another."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

# The defects are plugins under judgement, whatever their files are called.
collect_ignore = ["defects"]
MOST_PROCESSES = 4

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Their tests are spread over all processes, for each makes its host but once.
_SPREAD = ("test_sensitivity.py", "test_hostile.py")
_FIRST = "soaks"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Where folders are asked for, as many processes as there are processors. `-n`, `--pdb`, the name of a
    file or of a test, and an environment without pytest-xdist leave pytest as it is."""
    options = config.option
    if getattr(options, "numprocesses", 0) is not None or hasattr(config, "workerinput"):
        return
    if options.usepdb or options.collectonly or any(".py" in str(word) for word in config.args):
        return
    processes = min(_processors(), MOST_PROCESSES)
    if processes > 1 and options.markexpr == "proof":
        # Soaks and calls that hang wait more than they work; another process fills the time.
        processes += 1
    if processes > 1:
        options.numprocesses, options.dist = processes, "loadgroup"
        # Longest first, as `pytest_collection_modifyitems` sorts them.
        options.loadscopereorder = False


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pytest_report_header(config: pytest.Config) -> str | None:
    if hasattr(config.option, "numprocesses"):
        return None
    return "pytest-xdist is not here, so all runs in one process: pip install '.[test]' brings it"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):  # type: ignore[misc]
        """Tests of a file stay together, and share what it makes, unless they are in a group or to be
        spread."""

        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            file = scope.partition("::")[0]
            return scope if file.endswith(_SPREAD) else file

    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes, one begins with the soaks and the other with the next longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=_length)


def _length(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is not None:
        return 0 if group.args == (_FIRST,) else 1
    if item.path.name in _SPREAD:
        # Short ones among many: they fill up what is left at the end.
        return 3
    return 1 if item.get_closest_marker("slow") else 2


class _Rows:
    """Counts the rows of defects that were measured, and those that were remembered; in all processes."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.sources += [str(value) for name, value in report.user_properties if name == "row"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.sources:
            known = self.sources.count("remembered")
            told = f"rows of defects: {len(self.sources) - known} measured, {known} remembered"
            where = " from earlier runs (tests/proof/row_cache.py says how to have none)" if known else ""
            terminalreporter.write_line(told + where)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Rows(), "rows-of-defects")
