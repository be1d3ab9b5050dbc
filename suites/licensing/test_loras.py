"""LoRAs by their files: declared, licensed, of the right base, honest."""

from __future__ import annotations

from collections.abc import Sequence

from certify.candidate import Candidate
from certify.checks import NotEvidenced, expect_nothing_certain, requirement
from certify.evidence import EvidenceBox
from certify.instruments.findings import Finding
from certify.licensing import loras


@requirement("licence.lora-declared")
def test_every_lora_in_the_package_is_declared(candidate: Candidate, evidence: EvidenceBox) -> None:
    evidence.text("LoRAs in the package", "\n".join(loras.found(candidate)) or "none")
    expect_nothing_certain(loras.declared(candidate), evidence)


@requirement("licence.lora-terms")
def test_every_lora_has_a_commercial_licence_of_its_own(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_nothing_certain(loras.terms(candidate), evidence)


@requirement("licence.lora-base")
def test_every_lora_is_for_the_declared_base(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.base(candidate), evidence)


@requirement("licence.lora-metadata")
def test_the_metadata_of_loras_tells_the_truth(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.metadata(candidate), evidence)


@requirement("licence.lora-permissions")
def test_what_comes_with_a_lora_allows_its_use(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.permissions(candidate), evidence)


@requirement("licence.lora-privacy")
def test_no_private_matter_is_left_in_a_lora(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.privacy(candidate), evidence, doubts=True)


def _judge(findings: Sequence[Finding], evidence: EvidenceBox, doubts: bool = False) -> None:
    """What could not be read is no pass."""
    unread = [row for row in findings if row.rule == "unread"]
    expect_nothing_certain([row for row in findings if row not in unread], evidence, doubts)
    if unread:
        raise NotEvidenced(f"{unread[0]}; see security.weights.")
