"""Static requirements without pytest and without a worker: in a second, also where no engine is installed.

The tests are the suites' own, the same that pytest runs; what they take by name is given to them here.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from certify.measure.checks import requirement_of
from certify.measure.context import Measurement
from certify.plan.plan import PlanRow
from certify.record.evidence import EvidenceBox
from certify.record.results import RequirementResult
from certify.run.outcomes import Judges, OpenRequirement, classify
from certify.run.stopwatch import OutOfTime, Stopwatch
from certify.terms.outcomes import Outcome

_JOINED = re.compile(r'^@requirement\("([^"]+)"\)', re.MULTILINE)


@dataclass(frozen=True)
class StaticSession:
    """`replay` gives the command that repeats a requirement; `claim` takes what a test says was done."""

    measurement: Measurement
    judges: Judges
    replay: Callable[[str], str]
    claim: Callable[[str], None]
    stopwatch: Stopwatch

    def measure(self, row: PlanRow) -> RequirementResult:
        """The result of a static requirement. One that does not finish within the stopwatch's limit is not
        evidenced; what a test raises becomes an outcome as in a run (`outcomes.classify`).
        """
        tests = list(tests_of(self.judges.suites / row.requirement.suite, row.requirement.id))
        box = EvidenceBox(self.measurement.out, row.requirement.id)
        opened = OpenRequirement(row.requirement, row.counts, box, left=len(tests))
        if not tests:
            opened.add(Outcome.ERROR, "The harness failed: no test measures this requirement.")
        for test in tests:
            self._run(test, opened)
        return opened.result(self.replay(row.requirement.id))

    def _run(self, test: Callable[..., None], opened: OpenRequirement) -> None:
        try:
            with self.stopwatch.running():
                test(**self._arguments(test, opened.evidence))
        except OutOfTime as error:
            opened.add(Outcome.NOT_EVIDENCED, str(error))
        except Exception as error:
            outcome, message = classify(error, opened.requirement, self.judges)
            opened.add(outcome, message)
            if outcome is Outcome.ERROR:
                opened.evidence.text("The harness's own traceback", traceback.format_exc()[-6000:])
        else:
            opened.add(Outcome.PASSED, "")

    def _arguments(self, test: Callable[..., None], evidence: EvidenceBox) -> dict[str, Any]:
        offered = {
            "candidate": self.measurement.candidate,
            "measurement": self.measurement,
            "policy": self.measurement.policy,
            "profile": self.measurement.profile,
            "evidence": evidence,
            "claim": self.claim,
        }
        return {name: offered[name] for name in inspect.signature(test).parameters}


def tests_of(suite: Path, identifier: str) -> Iterator[Callable[..., None]]:
    """The tests of a requirement. Only the files that name it are imported: others may need the engine."""
    for file in sorted(suite.glob("test_*.py")):
        if identifier in _JOINED.findall(file.read_text("utf-8")):
            module = _load(file)
            yield from (
                value
                for value in vars(module).values()
                if requirement_of(value) == identifier and value.__module__ == module.__name__
            )


def _load(file: Path) -> ModuleType:
    """A suite's file as the module that it is in an installation, imported once."""
    name = f"certify.suites.{file.parent.name}.{file.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
