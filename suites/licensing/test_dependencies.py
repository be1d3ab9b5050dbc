"""The dependencies of the plugin, as declared and as resolved."""

from __future__ import annotations

from collections.abc import Sequence

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN
from certify.instruments.licences.package_metadata import Package
from certify.measure.checks import Broken, NotEvidenced, reject_findings, requirement
from certify.measure.context import Measurement
from certify.measure.licensing import dependencies
from certify.measure.licensing.resolution import NotResolved
from certify.measure.licensing.sbom import BILL, write_bill
from certify.measure.licensing.tree import drawn, parts
from certify.record.evidence import EvidenceBox


@requirement("deps.form")
def test_dependencies_can_be_read(candidate: Candidate, evidence: EvidenceBox) -> None:
    declared = dependencies.declared(candidate)
    evidence.text(
        "Declared", "\n".join(f"{row}  ({row.file}:{row.line})" for row in declared.declared) or "none"
    )
    findings = dependencies.form(candidate)
    reject_findings(findings, evidence, {CERTAIN})
    if dynamic := [row for row in findings if row.rule == "dynamic"]:
        raise NotEvidenced(f"{dynamic[0]}.")


@requirement("deps.index-only")
def test_dependencies_come_from_the_index(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(dependencies.places(candidate), evidence, {CERTAIN})


@requirement("deps.bounded")
def test_versions_are_bounded(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(dependencies.bounds(candidate), evidence)


@requirement("deps.known-bad")
def test_no_declared_package_is_malicious(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(dependencies.bad_names(candidate), evidence, {CERTAIN})


@requirement("deps.lookalikes")
def test_no_declared_package_looks_like_another(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(dependencies.lookalikes(candidate), evidence)


@requirement("deps.resolves")
def test_dependencies_resolve_on_every_system(
    measurement: Measurement, candidate: Candidate, evidence: EvidenceBox
) -> None:
    packages, failures = _resolved(measurement)
    evidence.text("Resolved", drawn(parts(candidate, packages)))
    for system, why in failures.items():
        raise Broken(f"The dependencies do not resolve on {system}: {why}")
    write_bill(measurement.out, candidate, packages, complete=True)
    evidence.value("bill of materials", f"{BILL}, with all resolved packages")
    reject_findings(dependencies.resolved_names(packages), evidence, {CERTAIN})


@requirement("deps.licences")
def test_no_dependency_forbids_commercial_use(
    measurement: Measurement, candidate: Candidate, evidence: EvidenceBox
) -> None:
    packages, failures = _resolved(measurement)
    if failures:
        raise NotEvidenced("Not all dependencies resolve; see deps.resolves.")
    findings = dependencies.resolved_licences(packages, candidate.manifest.commercial.paid)
    reject_findings(findings, evidence, {CERTAIN})
    unknown = [row.file for row in findings if row.rule == "no-licence"]
    if unknown:
        raise NotEvidenced(f"The metadata of {', '.join(unknown[:5])} names no known licence.")


@requirement("deps.vulnerabilities")
def test_no_dependency_has_a_known_vulnerability(measurement: Measurement, evidence: EvidenceBox) -> None:
    packages, failures = _resolved(measurement)
    if failures:
        raise NotEvidenced("Not all dependencies resolve; see deps.resolves.")
    try:
        advisories = measurement.resolver.vulnerabilities(packages, measurement.advisories)
    except NotResolved as error:
        raise NotEvidenced(f"The advisories could not be read: {error}.") from None
    evidence.text("Advisories", "\n".join(f"{package}: {name}" for package, name in advisories) or "none")
    assert not advisories, f"{advisories[0][0]} has {advisories[0][1]}" + (
        f", and {len(advisories) - 1} more." if advisories[1:] else "."
    )


def _resolved(measurement: Measurement) -> tuple[Sequence[Package], dict[str, str]]:
    try:
        resolution = measurement.resolver.resolve(measurement.candidate)
    except NotResolved as error:
        raise NotEvidenced(f"The dependencies could not be resolved: {error}.") from None
    return resolution.packages, resolution.failures
