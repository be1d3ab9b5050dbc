"""What an exception of a suite's test says of a requirement, and the worst of several."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from certify.measure.checks import Broken, NotApplicable, NotEvidenced
from certify.plan.catalogue import Requirement
from certify.record.evidence import EvidenceBox
from certify.record.results import Evidence, RequirementResult, Text
from certify.sandbox.host.faults import CandidateFault, PluginError, Unreachable
from certify.terms.faults import FaultKind
from certify.terms.outcomes import Outcome

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
class OpenRequirement:
    """One requirement while its tests run; `left` of them have not ended."""

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


@dataclass(frozen=True)
class Judges:
    """Who speaks of what: `faults` names the requirement that judges a kind of fault over the whole run, and
    `suites` is the folder whose assertions speak of the candidate.
    """

    faults: Mapping[FaultKind, str]
    suites: Path

    def see(self, kind: FaultKind | None) -> str:
        """`; see ID.` where a requirement judges such faults, else nothing."""
        return f"; see {self.faults[kind]}." if kind is not None and kind in self.faults else ""


def classify(error: BaseException, requirement: Requirement, judges: Judges) -> tuple[Outcome, str]:
    """An exception of a suite's test as an outcome and what was seen."""
    broken = Outcome.FAILED if requirement.level == "must" else Outcome.WARNED
    if isinstance(error, Broken):
        return broken, str(error)
    if _is_the_suites_own(error, judges.suites / requirement.suite):
        return broken, str(error).split("\nassert ")[0].strip()
    if isinstance(error, PluginError):
        code = f" ({error.code})" if error.code else ""
        return broken, f"The plugin raised {error.error_type}{code} for a valid request: {error.message}"
    if isinstance(error, CandidateFault):
        see = judges.see(error.kind)
        return Outcome.NOT_EVIDENCED, f"Not measured, for the call ended so: {error.message}{see}"
    if isinstance(error, Unreachable):
        return Outcome.NOT_EVIDENCED, str(error).rstrip(".") + (judges.see(error.kind) or ".")
    if isinstance(error, NotApplicable):
        return Outcome.NOT_APPLICABLE, str(error)
    if isinstance(error, NotEvidenced):
        return Outcome.NOT_EVIDENCED, str(error)
    return Outcome.ERROR, f"The harness failed: {type(error).__name__}: {error}"


def _is_the_suites_own(error: BaseException, suite: Path) -> bool:
    """An assertion with a message, of a file in the suite's own folder, speaks of the candidate. One of the
    harness's own code does not, nor one without a message: so look mistakes in narrowing a type.
    """
    if not isinstance(error, AssertionError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    message = str(error).strip()
    is_told = bool(message) and not message.startswith("assert ")
    return is_told and Path(frame.f_code.co_filename).parent == suite


def keep_fault(box: EvidenceBox, fault: CandidateFault) -> None:
    if fault.request:
        box.items.append(Text(name="Request in flight", text=fault.request[:2000]))
    if fault.log.strip():
        box.items.append(Text(name="The worker's last lines", text=fault.log[-4000:]))
