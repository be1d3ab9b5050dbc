"""Which requirements apply to this plugin on this machine, and why others do not."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any, Literal

from certify.plan.catalogue import Catalogue, Requirement, plugins_with
from certify.plan.profiles import Profile
from certify.terms.faults import FaultKind
from certify.terms.traits import Capability, Trait

Action = Literal["run", "not-applicable", "not-evidenced"]


@dataclass(frozen=True)
class PlanRow:
    """One requirement's place in the plan; `counts` where its outcome enters the verdict."""

    requirement: Requirement
    action: Action
    counts: bool
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    rows: tuple[PlanRow, ...]
    profile: Profile

    @property
    def to_run(self) -> tuple[PlanRow, ...]:
        return tuple(row for row in self.rows if row.action == "run")

    @property
    def judges_of_faults(self) -> dict[FaultKind, str]:
        """By the kind of a fault, the id of the requirement that judges it for this candidate."""
        return {
            row.requirement.judges: row.requirement.id
            for row in self.rows
            if row.requirement.judges and row.action != "not-applicable"
        }

    @property
    def needs_worker(self) -> bool:
        """Whether the run executes code of the plugin."""
        return any(row.requirement.when != "static" for row in self.to_run)

    @property
    def planned(self) -> int:
        """How many requirements a complete run measures."""
        return len(self.to_run)

    @property
    def seconds(self) -> float:
        """An estimate from profile quick on two cores, with the soak's length at this profile."""
        soak = self.profile.soak_seconds if any(row.requirement.suite == "soak" for row in self.to_run) else 0
        return sum(row.requirement.budget for row in self.to_run) + soak


def make_plan(
    catalogue: Catalogue,
    traits: Set[Trait],
    profile: Profile,
    capabilities: Set[Capability],
    selected: Set[str],
) -> Plan:
    """Rows in the order of the suites; every requirement of the catalogue has one."""
    rows = [
        _plan_row(row, traits, profile, capabilities, selected)
        for row in catalogue.requirements
        if not row.removed
    ]
    return Plan(tuple(rows), profile)


def _plan_row(
    requirement: Requirement,
    traits: Set[Trait],
    profile: Profile,
    capabilities: Set[Capability],
    selected: Set[str],
) -> PlanRow:
    counts = profile.includes(requirement.counts_from)
    missing = [trait for trait in requirement.applies if trait not in traits]
    if missing:
        return PlanRow(requirement, "not-applicable", False, f"applies only to {plugins_with(missing)}")
    if requirement.id not in selected:
        return PlanRow(requirement, "not-evidenced", counts, "not selected for this run")
    lacking = [need for need in requirement.needs if need not in capabilities]
    if lacking:
        return PlanRow(requirement, "not-evidenced", counts, f"this machine lacks: {', '.join(lacking)}")
    return PlanRow(requirement, "run", counts)


# The columns of a requirement that the record keeps, so that it can be read alone.
_TEXT = {"id", "suite", "level", "title", "sentence", "source", "why", "fix", "effort"}


def plan_event(rows: Iterable[PlanRow]) -> list[dict[str, Any]]:
    """The plan as the journal keeps it, with each requirement's text."""
    return [
        {
            **row.requirement.model_dump(
                mode="json",
                include=_TEXT,
            ),
            "counts": row.counts,
            "action": row.action,
            "reason": row.reason,
        }
        for row in rows
    ]
