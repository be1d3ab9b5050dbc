"""Checks of LoRA files: declaration, licence, base model, metadata."""

from __future__ import annotations

from collections.abc import Sequence, Set

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding
from certify.measure.checks import NotEvidenced, reject_findings, requirement
from certify.measure.licensing import loras
from certify.record.evidence import EvidenceBox


@requirement("licence.lora-declared")
def test_every_lora_in_the_package_is_declared(candidate: Candidate, evidence: EvidenceBox) -> None:
    evidence.text("LoRAs in the package", "\n".join(loras.lora_files(candidate)) or "none")
    reject_findings(loras.declared(candidate), evidence, {CERTAIN})


@requirement("licence.lora-terms")
def test_every_lora_has_a_commercial_licence(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(loras.terms(candidate), evidence, {CERTAIN})


@requirement("licence.lora-base")
def test_every_lora_is_for_the_declared_base(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.base(candidate), evidence)


@requirement("licence.lora-metadata")
def test_the_metadata_of_loras_is_true(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.metadata(candidate), evidence)


@requirement("licence.lora-permissions")
def test_the_files_beside_a_lora_allow_its_use(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.permissions(candidate), evidence)


@requirement("licence.lora-privacy")
def test_no_private_data_is_left_in_a_lora(candidate: Candidate, evidence: EvidenceBox) -> None:
    _judge(loras.privacy(candidate), evidence, {CERTAIN, SUSPICIOUS})


def _judge(
    findings: Sequence[Finding], evidence: EvidenceBox, bands: Set[Band] = frozenset({CERTAIN})
) -> None:
    """A file that could not be read is never a pass."""
    unread = [row for row in findings if row.rule == "unread"]
    reject_findings([row for row in findings if row not in unread], evidence, bands)
    if unread:
        raise NotEvidenced(f"{unread[0]}; see security.weights.")
