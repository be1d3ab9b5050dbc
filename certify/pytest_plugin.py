"""The glue to pytest: fixtures for the suites, tests joined to requirements, outcomes recorded."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from certify.candidate import Candidate
from certify.checks import Broken, NotApplicable, NotEvidenced
from certify.context import RunContext
from certify.draw import Draw
from certify.evidence import EvidenceBox
from certify.host.faults import CallRefused, CandidateFault, Hung, LoadFailed, Misspoke, WorkerEnded
from certify.host.remote import Ledger, RemotePlugin, Unreachable
from certify.policy import LoadedPolicy
from certify.profiles import Profile
from certify.record import Evidence, Outcome, RequirementResult, Text
from certify.requirements import Requirement

_WHEN = ("static", "run", "end")
_TOLD_BY: dict[type[CandidateFault], str] = {
    WorkerEnded: "sdk.stays-alive",
    Hung: "sdk.answers-in-time",
    Misspoke: "sdk.answers-wellformed",
    LoadFailed: "sdk.entry-loads",
}
# The worse of two outcomes stands for a requirement with several tests.
_WORST_LAST = (
    Outcome.NOT_APPLICABLE,
    Outcome.PASSED,
    Outcome.WARNED,
    Outcome.NOT_EVIDENCED,
    Outcome.ERROR,
    Outcome.FAILED,
)


@dataclass
class _Measurement:
    """One requirement while its tests run."""

    requirement: Requirement
    counts: bool
    evidence: EvidenceBox
    left: int
    outcome: Outcome = Outcome.PASSED
    message: str = ""
    attempts: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome, message: str) -> None:
        self.attempts += 1
        if self.attempts == 1 or _WORST_LAST.index(outcome) > _WORST_LAST.index(self.outcome):
            self.outcome, self.message = outcome, message

    def result(self, replay: str) -> RequirementResult:
        row = self.requirement
        evidence: tuple[Evidence, ...] = tuple(self.evidence.items)
        return RequirementResult(
            id=row.id,
            suite=row.suite,
            level=row.level,
            outcome=self.outcome,
            message=self.message,
            evidence=evidence,
            seconds=round(time.monotonic() - self.started, 3),
            replay=replay,
            attempts=self.attempts,
            counts=self.counts,
            title=row.title,
            sentence=row.sentence,
            source=row.source,
            why=row.why,
            fix=row.fix,
            effort=row.effort,
        )


class CertifyPlugin:
    """Registered with pytest for one run of one candidate."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._rows = {row.requirement.id: row for row in context.plan.to_run}
        self._open: dict[str, _Measurement] = {}
        self._expected: dict[str, int] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "requirement(id): the requirement that this test measures")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.context.trouble.append(f"{report.nodeid} was not collected: {str(report.longrepr)[-800:]}")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keeps what the plan runs, in its order: static first, judgements over the whole run last."""
        without = [item.nodeid for item in items if not _requirement_of(item)]
        if without:
            raise pytest.UsageError("tests without a requirement id: " + ", ".join(without))
        chosen = [item for item in items if _requirement_of(item) in self._rows]
        order = {identifier: number for number, identifier in enumerate(self._rows)}
        chosen.sort(key=lambda item: (self._when(item), order[_requirement_of(item)]))
        for item in chosen:
            identifier = _requirement_of(item)
            self._expected[identifier] = self._expected.get(identifier, 0) + 1
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def _when(self, item: pytest.Item) -> int:
        return _WHEN.index(self._rows[_requirement_of(item)].requirement.when)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        identifier = _requirement_of(item)
        row = self._rows[identifier]
        if identifier not in self._open:
            box = EvidenceBox(self.context.out, identifier)
            self._open[identifier] = _Measurement(
                row.requirement, row.counts, box, self._expected[identifier]
            )
            self.context.journal.write("requirement-started", id=identifier)
            self.context.progress.start(identifier, row.requirement.title)
            self.context.plugin.requirement = identifier
        result = yield
        measurement = self._open[identifier]
        measurement.left -= 1
        if measurement.left == 0:
            self._close(measurement)
        return result

    def _close(self, measurement: _Measurement) -> None:
        identifier = measurement.requirement.id
        result = measurement.result(self.context.replay(identifier))
        self.context.journal.write("requirement", **result.model_dump(mode="json"))
        self.context.progress.finish(result)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        measurement = self._open[_requirement_of(item)]
        if call.excinfo is None:
            if report.when == "call":
                measurement.add(Outcome.PASSED, "")
            return report
        outcome, message = classify(call.excinfo.value, measurement.requirement)
        measurement.add(outcome, message)
        if outcome is Outcome.ERROR:
            measurement.evidence.text("The harness's own traceback", str(report.longrepr)[-6000:])
        elif isinstance(call.excinfo.value, CandidateFault):
            _keep_fault(measurement.evidence, call.excinfo.value)
        return report

    # Fixtures of the suites.

    @pytest.fixture
    def candidate(self) -> Candidate:
        return self.context.candidate

    @pytest.fixture
    def plugin(self) -> RemotePlugin:
        """The candidate in its worker."""
        return self.context.plugin

    @pytest.fixture
    def ledger(self) -> Ledger:
        """Every call of the run so far."""
        return self.context.plugin.ledger

    @pytest.fixture
    def profile(self) -> Profile:
        return self.context.profile

    @pytest.fixture
    def policy(self) -> LoadedPolicy:
        """Which marks this run asks for."""
        return self.context.policy

    @pytest.fixture
    def run(self) -> RunContext:
        return self.context

    @pytest.fixture
    def draw(self, request: pytest.FixtureRequest) -> Draw:
        """Fresh prompts and seeds for this requirement."""
        return Draw(self.context.seed, _requirement_of(request.node), request.node.name)

    @pytest.fixture
    def evidence(self, request: pytest.FixtureRequest) -> EvidenceBox:
        return self._open[_requirement_of(request.node)].evidence

    @pytest.fixture
    def claim(self) -> Callable[[str], None]:
        """Enters a sentence among the claims: what the run really did."""
        return self.context.claims.append

    @pytest.fixture
    def note(self) -> Callable[[str], None]:
        """Tells the display what is going on."""
        return self.context.progress.note


def classify(error: BaseException, requirement: Requirement) -> tuple[Outcome, str]:
    """An exception of a suite's test as an outcome and what was seen."""
    broken = Outcome.FAILED if requirement.level == "must" else Outcome.WARNED
    if isinstance(error, Broken) or _is_the_suites_own(error, requirement.suite):
        return broken, str(error).split("\nassert ")[0].strip() or "The check failed without a message."
    if isinstance(error, CallRefused):
        code = f" ({error.code})" if error.code else ""
        return broken, f"The plugin raised {error.error_type}{code} for a valid request: {error.message}"
    if isinstance(error, CandidateFault):
        told = _TOLD_BY[type(error)]
        return Outcome.NOT_EVIDENCED, f"Not measured, for the call ended so: {error.message}; see {told}."
    if isinstance(error, NotApplicable):
        return Outcome.NOT_APPLICABLE, str(error)
    if isinstance(error, (NotEvidenced, Unreachable)):
        return Outcome.NOT_EVIDENCED, str(error)
    return Outcome.ERROR, f"The harness failed: {type(error).__name__}: {error}"


def _is_the_suites_own(error: BaseException, suite: str) -> bool:
    """An assertion of a suite's test speaks of the candidate; one of the harness's own code does not."""
    if not isinstance(error, AssertionError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).parent.name == suite


def _keep_fault(box: EvidenceBox, fault: CandidateFault) -> None:
    if fault.request:
        box.items.append(Text(name="Request in flight", text=fault.request[:2000]))
    if fault.log.strip():
        box.items.append(Text(name="The worker's last lines", text=fault.log[-4000:]))


def _requirement_of(item: Any) -> str:
    marker = item.get_closest_marker("requirement")
    return str(marker.args[0]) if marker and marker.args else ""
