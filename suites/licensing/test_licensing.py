"""The licences in the manifest, compared with the files in the package."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN
from certify.instruments.licences.package_metadata import Package
from certify.measure.checks import reject_findings, requirement
from certify.measure.context import Measurement
from certify.measure.licensing import base_model as base
from certify.measure.licensing import code, dependencies
from certify.measure.licensing.sbom import BILL, write_bill
from certify.measure.licensing.tree import drawn, parts
from certify.record.evidence import EvidenceBox


@requirement("licence.expression")
def test_the_licences_are_spdx_expressions(
    measurement: Measurement, candidate: Candidate, evidence: EvidenceBox
) -> None:
    evidence.text("Licence tree", drawn(parts(candidate)))
    packages = [Package(row.name, "") for row in dependencies.declared(candidate).declared]
    write_bill(measurement.out, candidate, packages, complete=not packages)
    evidence.value("bill of materials", f"{BILL}, with the dependencies as declared")
    reject_findings([*code.expressions(candidate), *code.sharing(candidate)], evidence, {CERTAIN})


@requirement("licence.files")
def test_the_licence_files_hold_the_declared_licences(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(code.files(candidate), evidence, {CERTAIN})


@requirement("licence.model-card")
def test_model_cards_name_the_manifests_licences(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(code.model_card(candidate), evidence, {CERTAIN})


@requirement("licence.undeclared")
def test_every_licence_in_the_tree_is_declared(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(code.undeclared(candidate), evidence)


@requirement("licence.base-model")
def test_the_licence_of_the_base_model_is_passed_on(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(base.copy_of_licence(candidate), evidence, {CERTAIN})


@requirement("licence.use-restrictions")
def test_users_are_bound_to_the_use_restrictions(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(base.use_restrictions(candidate), evidence, {CERTAIN})


@requirement("licence.change-notice")
def test_changed_weights_say_what_they_were_made_from(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(base.change_notice(candidate), evidence, {CERTAIN})


@requirement("licence.attribution")
def test_the_authors_of_the_model_are_named(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(base.attribution(candidate), evidence, {CERTAIN})


@requirement("licence.commercial")
def test_above_the_tier_there_is_an_agreement(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(code.agreement(candidate), evidence, {CERTAIN})


@requirement("licence.paid-terms")
def test_nothing_in_a_paid_plugin_forbids_commercial_use(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(code.non_commercial(candidate), evidence, {CERTAIN})
