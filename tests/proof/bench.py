"""Where defects are measured, one after another: one warm host, one index, one advisory service, and what was
resolved and looked up once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from certify.measure.licensing.resolution import Resolver
from certify.plan.profiles import PROFILES, Profile
from certify.record.results import Results
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.sandbox.host.host import Host
from certify.terminal.progress import Silent
from certify.terms.outcomes import Outcome
from tests.defects.catalogue import NO_TOOL, OPEN, Defect
from tests.defects.index import advisory_service, build_index

SHORT = Profile("quick", isolation="L1", soak_seconds=20, soak_calls=240, load_deadline=30, call_deadline=6)
assert SHORT.isolation == PROFILES["quick"].isolation


@dataclass(frozen=True)
class Row:
    """One defect's run: what was to be found and what was, as id -> outcome where it differs from sound."""

    name: str
    suite: str
    expected: dict[str, str]
    found: dict[str, str]
    verdict: str
    seconds: float
    messages: dict[str, str]

    @property
    def missed(self) -> list[str]:
        return [name for name, outcome in self.expected.items() if self.found.get(name) != outcome]

    @property
    def extra(self) -> list[str]:
        return [name for name, outcome in self.found.items() if self.expected.get(name) != outcome]


def expected_of(defect: Defect, measured: Set[str]) -> dict[str, str]:
    """What takes a program that is not here stays open, whatever the defect."""
    return {
        name: outcome.value
        for name, outcome in defect.expected.items()
        if name in measured and name not in NO_TOOL
    }


def differences(results: Results, measured: Set[str]) -> dict[str, str]:
    """Outcomes that are not the sound plugin's: it passes everything but what one run cannot evidence."""
    usual = {name: Outcome.NOT_EVIDENCED if name in OPEN else Outcome.PASSED for name in measured}
    return {
        row.id: row.outcome.value
        for row in results.requirements
        if row.id in measured and row.outcome is not usual[row.id]
    }


class Bench:
    """Lives as long as its block; a host that was lost is replaced."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._host: Host | None = None
        self._hosts = 0
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self._index = str(build_index(self._scratch / "index"))
        self._advisories = self._stack.enter_context(advisory_service())
        self._resolver = Resolver(self._index)
        return self

    def __exit__(self, *_: object) -> None:
        if self._host is not None:
            self._host.close()
        self._stack.close()

    @property
    def host(self) -> Host:
        if self._host is not None and self._host.lost:
            self._host.close()
            self._host = None
        if self._host is None:
            self._hosts += 1
            self._host = Host(self._scratch / f"host-{self._hosts}")
        return self._host

    def measure(self, defect: Defect, measured: Set[str], seed: str = "") -> Row:
        with tempfile.TemporaryDirectory(prefix="defect-") as name:
            folder = defect.build(Path(name) / "plugin")
            out = str(Path(name) / "out")
            order = RunRequest(
                str(folder), out=out, seed=seed, index=self._index, advisories=self._advisories
            )
            results, _ = execute(
                order, Silent(), self.host, profile=SHORT, selected=measured, resolver=self._resolver
            )
        found = differences(results, measured)
        messages = {row.id: row.message for row in results.requirements if row.id in found}
        expected = expected_of(defect, measured)
        return Row(
            defect.name, defect.suite, expected, found, results.verdict.name, results.seconds, messages
        )
