"""What the plugin depends on: as its package declares it, and as it resolves."""

from __future__ import annotations

from collections.abc import Sequence

from certify.candidate import Candidate
from certify.checks import Broken, NotEvidenced, expect_nothing_certain, requirement
from certify.context import RunContext
from certify.evidence import EvidenceBox
from certify.instruments.package_metadata import Package
from certify.licensing import dependencies
from certify.licensing.sbom import BILL, write_bill
from certify.licensing.tree import drawn, parts
from certify.resolution import NotResolved


@requirement("deps.form")
def test_dependencies_can_be_read(candidate: Candidate, evidence: EvidenceBox) -> None:
    declared = dependencies.declared(candidate)
    evidence.text(
        "Declared", "\n".join(f"{row}  ({row.file}:{row.line})" for row in declared.declared) or "none"
    )
    findings = dependencies.form(candidate)
    expect_nothing_certain(findings, evidence)
    if dynamic := [row for row in findings if row.rule == "dynamic"]:
        raise NotEvidenced(f"{dynamic[0]}.")


@requirement("deps.index-only")
def test_dependencies_come_from_the_index(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(dependencies.places(candidate), evidence)


@requirement("deps.bounded")
def test_versions_are_bounded(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(dependencies.bounds(candidate), evidence, doubts=True)


@requirement("deps.known-bad")
def test_no_declared_package_is_malicious(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(dependencies.bad_names(candidate), evidence)


@requirement("deps.lookalikes")
def test_no_declared_package_looks_like_another(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(dependencies.lookalikes(candidate), evidence, doubts=True)


@requirement("deps.resolves")
def test_dependencies_resolve_on_every_system(
    run: RunContext, candidate: Candidate, evidence: EvidenceBox
) -> None:
    packages, failures = _resolved(run)
    evidence.text("Resolved", drawn(parts(candidate, packages)))
    for system, why in failures.items():
        raise Broken(f"The dependencies do not resolve on {system}: {why}")
    write_bill(run.out, candidate, packages, complete=True)
    evidence.value("bill of materials", f"{BILL}, with all that resolves")
    expect_nothing_certain(dependencies.resolved_names(packages), evidence)


@requirement("deps.licences")
def test_no_dependency_forbids_commercial_use(
    run: RunContext, candidate: Candidate, evidence: EvidenceBox
) -> None:
    packages, failures = _resolved(run)
    if failures:
        raise NotEvidenced("Not all dependencies resolve; see deps.resolves.")
    findings = dependencies.resolved_licences(packages, candidate.manifest.commercial.paid)
    expect_nothing_certain(findings, evidence)
    unknown = [row.file for row in findings if row.rule == "no-licence"]
    if unknown:
        raise NotEvidenced(f"The metadata of {', '.join(unknown[:5])} names no licence that is known.")


@requirement("deps.vulnerabilities")
def test_no_dependency_has_a_known_vulnerability(run: RunContext, evidence: EvidenceBox) -> None:
    packages, failures = _resolved(run)
    if failures:
        raise NotEvidenced("Not all dependencies resolve; see deps.resolves.")
    try:
        found = run.resolver.vulnerabilities(packages, run.advisories)
    except NotResolved as error:
        raise NotEvidenced(f"Not looked up: {error}.") from None
    evidence.text("Advisories", "\n".join(f"{package}: {name}" for package, name in found) or "none")
    assert not found, f"{found[0][0]} has {found[0][1]}" + (
        f", and {len(found) - 1} more." if found[1:] else "."
    )


def _resolved(run: RunContext) -> tuple[Sequence[Package], dict[str, str]]:
    try:
        resolution = run.resolver.resolve(run.candidate)
    except NotResolved as error:
        raise NotEvidenced(f"Not resolved: {error}.") from None
    return resolution.packages, resolution.failures
