"""What the manifest says of licences, held against the files in the package."""

from __future__ import annotations

from certify.candidate import Candidate
from certify.checks import expect_nothing_certain, requirement
from certify.context import Measurement
from certify.evidence import EvidenceBox
from certify.instruments.package_metadata import Package
from certify.licensing import base, code, dependencies
from certify.licensing.sbom import BILL, write_bill
from certify.licensing.tree import drawn, parts


@requirement("licence.expression")
def test_the_licences_are_spdx_expressions(
    measurement: Measurement, candidate: Candidate, evidence: EvidenceBox
) -> None:
    evidence.text("Licence tree", drawn(parts(candidate)))
    packages = [Package(row.name, "") for row in dependencies.declared(candidate).declared]
    write_bill(measurement.out, candidate, packages, complete=not packages)
    evidence.value("bill of materials", f"{BILL}, with the dependencies as declared")
    expect_nothing_certain([*code.expressions(candidate), *code.sharing(candidate)], evidence)


@requirement("licence.files")
def test_the_licence_files_hold_the_declared_licences(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(code.files(candidate), evidence)


@requirement("licence.model-card")
def test_model_cards_name_the_manifests_licences(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(code.model_card(candidate), evidence)


@requirement("licence.undeclared")
def test_every_licence_in_the_tree_is_declared(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(code.undeclared(candidate), evidence, doubts=True)


@requirement("licence.base-model")
def test_the_licence_of_the_base_model_is_passed_on(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(base.copy_of_licence(candidate), evidence)


@requirement("licence.use-restrictions")
def test_users_are_bound_to_the_use_restrictions(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(base.use_restrictions(candidate), evidence)


@requirement("licence.change-notice")
def test_changed_weights_say_what_they_were_made_from(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(base.change_notice(candidate), evidence)


@requirement("licence.attribution")
def test_the_authors_of_the_model_are_named(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(base.attribution(candidate), evidence)


@requirement("licence.commercial")
def test_above_the_tier_there_is_an_agreement(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(code.agreement(candidate), evidence)


@requirement("licence.paid-terms")
def test_nothing_in_a_paid_plugin_forbids_commercial_use(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(code.non_commercial(candidate), evidence)
