"""The glue to pytest: fixtures for the suites, tests joined to requirements, outcomes recorded."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from certify.candidate.candidate import Candidate
from certify.measure.checks import requirement_of
from certify.measure.context import Measurement
from certify.measure.randomness import Draws
from certify.measure.soak.soak_run import SoakRun
from certify.plan.policy import LoadedPolicy
from certify.plan.profiles import Profile
from certify.record.evidence import EvidenceBox
from certify.run.outcomes import Judges, OpenRequirement, classify, keep_fault
from certify.run.state import Run
from certify.sandbox.host.faults import CandidateFault, HostError
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.plugin import RemotePlugin
from certify.terms.outcomes import Outcome

_WHEN = ("static", "run", "end")


class CertifyPlugin:
    """Registered with pytest for one run of one candidate. `ended_by` is what kept it from going on."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ended_by: HostError | CandidateFault | None = None
        self._rows = {row.requirement.id: row for row in run.plan.to_run}
        self._judges = Judges(run.plan.judges_of_faults, run.catalogue.root)
        self._open: dict[str, OpenRequirement] = {}
        self._expected: dict[str, int] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.run.trouble.append(f"{report.nodeid} was not collected: {str(report.longrepr)[-800:]}")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keeps what the plan runs, in its order: static first, judgements over the whole run last."""
        without = [item.nodeid for item in items if not _requirement_of(item)]
        if without:
            raise pytest.UsageError("tests without a requirement id: " + ", ".join(without))
        chosen = [item for item in items if _requirement_of(item) in self._rows]
        order = {identifier: number for number, identifier in enumerate(self._rows)}
        chosen.sort(key=lambda item: (self._when(item), self._waits(item), order[_requirement_of(item)]))
        self.run.soaks = any("soak" in _fixtures_of(item) for item in chosen)
        for item in chosen:
            identifier = _requirement_of(item)
            self._expected[identifier] = self._expected.get(identifier, 0) + 1
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def _waits(self, item: pytest.Item) -> bool:
        """What waits for a soak that works beside the others comes after them."""
        return self.run.soaks_beside and "soak" in _fixtures_of(item)

    def _when(self, item: pytest.Item) -> int:
        return _WHEN.index(self._rows[_requirement_of(item)].requirement.when)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        identifier = _requirement_of(item)
        row = self._rows[identifier]
        if row.requirement.when != "static":
            self._ready_plugin(identifier)
        if identifier not in self._open:
            box = EvidenceBox(self.run.out, identifier)
            self._open[identifier] = OpenRequirement(
                row.requirement, row.counts, box, self._expected[identifier]
            )
            self.run.journal.write("requirement-started", id=identifier)
            self.run.progress.start(identifier, row.requirement.title)
        result = yield
        measurement = self._open[identifier]
        measurement.left -= 1
        if measurement.left == 0:
            self._close(measurement)
        return result

    def _ready_plugin(self, identifier: str) -> None:
        """Has the plugin ready for a requirement that calls it, or ends the session where it cannot be."""
        try:
            self.run.plugin.ledger.requirement = identifier
            self.run.begin_soak()
        except (HostError, CandidateFault) as error:
            self.ended_by = error
            pytest.exit(str(error))

    def _close(self, measurement: OpenRequirement) -> None:
        identifier = measurement.requirement.id
        result = measurement.result(self.run.replay(identifier))
        self.run.journal.write("requirement", **result.model_dump(mode="json"))
        self.run.progress.finish(result)

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
        outcome, message = classify(call.excinfo.value, measurement.requirement, self._judges)
        measurement.add(outcome, message)
        if outcome is Outcome.ERROR:
            measurement.evidence.text("The harness's own traceback", str(report.longrepr)[-6000:])
        elif isinstance(call.excinfo.value, CandidateFault):
            keep_fault(measurement.evidence, call.excinfo.value)
        return report

    # Fixtures of the suites.

    @pytest.fixture
    def candidate(self) -> Candidate:
        return self.run.candidate

    @pytest.fixture
    def plugin(self) -> RemotePlugin:
        """The candidate in its worker."""
        return self.run.plugin

    @pytest.fixture
    def soak(self) -> SoakRun:
        """The soak of this run; its result is waited for."""
        return self.run.soak

    @pytest.fixture
    def ledger(self) -> Ledger:
        """Every call of the run so far."""
        return self.run.plugin.ledger

    @pytest.fixture
    def profile(self) -> Profile:
        return self.run.plan.profile

    @pytest.fixture
    def policy(self) -> LoadedPolicy:
        """Which marks this run asks for."""
        return self.run.policy

    @pytest.fixture
    def measurement(self) -> Measurement:
        """What this run is for and where it works."""
        return self.run.measurement

    @pytest.fixture
    def draws(self, request: pytest.FixtureRequest) -> Draws:
        """Fresh prompts and seeds for this requirement."""
        return Draws(self.run.request.seed, _requirement_of(request.node), request.node.name)

    @pytest.fixture
    def evidence(self, request: pytest.FixtureRequest) -> EvidenceBox:
        return self._open[_requirement_of(request.node)].evidence

    @pytest.fixture
    def claim(self) -> Callable[[str], None]:
        """Enters a sentence among the claims: what the run really did."""
        return self.run.claims.append

    @pytest.fixture
    def note(self) -> Callable[[str], None]:
        """Tells the display what is going on."""
        return self.run.progress.note


def _requirement_of(item: Any) -> str:
    return requirement_of(getattr(item, "function", None))


def _fixtures_of(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))
