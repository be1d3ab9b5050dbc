"""Rows, plans, journals and a plugin for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certify.plan.catalogue import load_catalogue
from certify.plan.plan import Plan, make_plan, plan_event
from certify.plan.profiles import PROFILES
from certify.record.journal import Journal
from certify.record.results import Isolation, RequirementResult
from certify.terms.outcomes import Outcome
from certify.terms.traits import TRAITS, Capability

EVERY_TRAIT = TRAITS - {"diffusers-pipeline", "declares-marks"}
EVERY_CAPABILITY: frozenset[Capability] = frozenset({"linux", "worker", "uv", "pip-audit"})
# A plugin that does what its prompt names.
PUPPET, ENTRY = Path(__file__).parent / "sandbox" / "puppet", "puppet:Puppet"
ISOLATED = Isolation(level="L2", demanded="L2")


def row(outcome: Outcome = Outcome.PASSED, identifier: str = "made.up", **more: Any) -> RequirementResult:
    """A requirement's result that was measured once, unless told otherwise."""
    ran = outcome not in (Outcome.NOT_APPLICABLE, Outcome.NOT_EVIDENCED)
    table = {"id": identifier, "suite": "made", "level": "must", "outcome": outcome, "attempts": int(ran)}
    return RequirementResult.model_validate({**table, **more})


def whole_plan(profile: str = "quick") -> Plan:
    """Every requirement of the catalogue, for a candidate to which all apply."""
    catalogue = load_catalogue()
    selected = catalogue.select([], [])
    return make_plan(catalogue, EVERY_TRAIT, PROFILES[profile], EVERY_CAPABILITY, selected)


def write_run(journal: Journal, plan: Plan, outcomes: Mapping[str, Outcome], level: str = "L2") -> None:
    """A whole run of `plan`: what `outcomes` does not name has passed."""
    begin_run(journal, plan, level)
    for planned in plan.to_run:
        kept = planned.requirement.model_dump(include={"id", "suite", "level", "title", "sentence", "source"})
        outcome = outcomes.get(planned.requirement.id, Outcome.PASSED)
        result = row(outcome, message="é: 画", **kept, counts=planned.counts)
        journal.write("requirement-started", id=result.id)
        journal.write("requirement", **result.model_dump(mode="json"))
    journal.write("claim", text="soak: 1 s")
    journal.write("end", seconds=1.5, trouble=[])


def begin_run(journal: Journal, plan: Plan, level: str = "L2") -> None:
    """The events before the first requirement."""
    journal.write(
        "run",
        certify={"version": "0", "spec_revision": "2026.1", "suite_digest": "sha256:0"},
        candidate={"name": "made-up", "version": "1", "digest": "sha256:1", "kind": "native"},
        profile=plan.profile.name,
        demanded=plan.profile.isolation,
        seed="1",
        order={"plugin": "made-up"},
        environment={"system": "Linux"},
        started="2026-01-01T00:00:00+00:00",
        suites={"contract": "Contract"},
        repeat="certify run made-up",
    )
    journal.write("plan", rows=plan_event(plan.rows))
    journal.write("isolation", level=level, demanded=plan.profile.isolation, acts=[])


def written(path: Path, plan: Plan, outcomes: Mapping[str, Outcome] | None = None, level: str = "L2") -> Path:
    """The journal of a whole run, on disk."""
    with Journal(path) as journal:
        write_run(journal, plan, outcomes or {}, level)
    return path
