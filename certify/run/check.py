"""`certify check` without its words: the static requirements of a plugin, and what they say together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from certify.candidate.candidate import Candidate, read_candidate
from certify.measure.context import Measurement
from certify.plan.catalogue import load_catalogue
from certify.plan.machine import capabilities
from certify.plan.plan import make_plan
from certify.plan.policy import load_policy
from certify.plan.profiles import profile_named
from certify.record.results import RequirementResult
from certify.run.outcomes import Judges
from certify.run.static_session import StaticSession
from certify.run.stopwatch import Stopwatch
from certify.submission.submission import open_submission
from certify.terms.outcomes import Outcome
from certify.terms.verdicts import EXIT_ERROR, EXIT_INCOMPLETE, EXIT_PASSED, EXIT_REJECTED

# CPU seconds for all requirements together; a package of some megabytes takes less.
LIMIT = 20.0
_OPEN = (Outcome.NOT_EVIDENCED, Outcome.FLAKY)


@dataclass(frozen=True)
class CheckRequest:
    """What is checked; `replay` gives the command that repeats one requirement."""

    plugin: Path
    replay: Callable[[str], str]
    profile: str = "quick"
    policy: str = "store-default"
    suites: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """The results in the order of the plan. `left_out` counts the requirements that a whole run measures
    besides.
    """

    candidate: Candidate
    profile: str
    results: tuple[RequirementResult, ...]
    left_out: int

    @property
    def exit_code(self) -> int:
        """Of what counts at the profile: REJECTED before a harness error, before a row that was not
        finished.
        """
        outcomes = {row.outcome for row in self.results if row.counts}
        if Outcome.FAILED in outcomes:
            return EXIT_REJECTED
        if Outcome.ERROR in outcomes:
            return EXIT_ERROR
        if outcomes & set(_OPEN) or not any(row.attempts for row in self.results):
            return EXIT_INCOMPLETE
        return EXIT_PASSED


def check(request: CheckRequest, limit: float = LIMIT) -> CheckReport:
    """Runs the static requirements in this process; nothing of the candidate is executed.

    Raises UserError for mistakes in what was requested or handed in.
    """
    profile, policy = profile_named(request.profile), load_policy(request.policy)
    catalogue = load_catalogue()
    chosen = catalogue.select(request.suites, request.requirements)
    with tempfile.TemporaryDirectory(prefix="certify-") as name:
        scratch = Path(name)
        candidate = read_candidate(open_submission(request.plugin, scratch / "submission"))
        whole = make_plan(catalogue, candidate.traits, profile, capabilities(), chosen)
        measurement = Measurement(
            candidate=candidate,
            profile=profile,
            policy=policy,
            seed="0",
            out=scratch,
            worker_root=candidate.root,
        )
        judges = Judges(whole.judges_of_faults, catalogue.root)
        session = StaticSession(measurement, judges, request.replay, lambda _: None, Stopwatch(limit))
        static = [row for row in whole.to_run if row.requirement.when == "static"]
        results = tuple(session.measure(row) for row in static)
    return CheckReport(candidate, profile.name, results, left_out=whole.planned - len(results))
