"""Which requirements apply to this candidate on this machine, and why not: decided before anything runs."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from certify.profiles import Profile
from certify.requirements import Catalogue, Requirement

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
    def planned(self) -> int:
        """How many requirements a complete run measures."""
        return len(self.to_run)

    @property
    def asks_the_plugin(self) -> bool:
        """Whether anything of the candidate is executed, or files are read alone."""
        return any(row.requirement.when != "static" for row in self.to_run)

    @property
    def seconds(self) -> float:
        """An estimate for profile quick on two cores; the soak's own length at the others."""
        soak = (
            self.profile.soak_seconds
            if any(row.requirement.suite == "leak_soak" for row in self.to_run)
            else 0
        )
        return sum(row.requirement.budget for row in self.to_run) + soak


def make_plan(
    catalogue: Catalogue,
    traits: Set[str],
    profile: Profile,
    capabilities: Set[str],
    selected: Set[str],
) -> Plan:
    """Rows in the order of the suites; every requirement of the catalogue has one."""
    rows = [
        _plan_one(row, traits, profile, capabilities, selected)
        for row in catalogue.requirements
        if not row.removed
    ]
    return Plan(tuple(rows), profile)


def _plan_one(
    requirement: Requirement,
    traits: Set[str],
    profile: Profile,
    capabilities: Set[str],
    selected: Set[str],
) -> PlanRow:
    counts = profile.includes(requirement.counts_from)
    foreign = [trait for trait in requirement.applies if trait not in traits]
    if foreign:
        return PlanRow(
            requirement, "not-applicable", False, f"for candidates that are {' and '.join(foreign)}"
        )
    if requirement.id not in selected:
        return PlanRow(requirement, "not-evidenced", counts, "not selected for this run")
    lacking = [need for need in requirement.needs if need not in capabilities]
    if lacking:
        return PlanRow(requirement, "not-evidenced", counts, f"this machine lacks: {', '.join(lacking)}")
    return PlanRow(requirement, "run", counts)
