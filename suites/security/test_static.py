"""Checks of the package's files, without executing any of them.

Band A rejects, because its presence is proof. Band B warns, under its own family or under `second-look`.
"""

from __future__ import annotations

import pytest

from certify.candidate.candidate import Candidate
from certify.instruments.code import of_family
from certify.instruments.code.package import Declared, check_package, hosts_of
from certify.instruments.code.rules import Family
from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Finding
from certify.instruments.weights import check_weights
from certify.instruments.weights.scanners import second_opinions
from certify.measure.checks import reject_findings, requirement
from certify.record.evidence import EvidenceBox

# The families whose band A rejects under a requirement of their own name.
PROVED: tuple[Family, ...] = (
    *("runtime-install", "obfuscation", "secrets", "persistence", "test-detection", "trojan-source"),
    "native-code",
)

_read: dict[str, list[Finding]] = {}


@pytest.fixture
def findings(candidate: Candidate, evidence: EvidenceBox) -> list[Finding]:
    """All findings of the rules for code; the package is read once for all requirements."""
    evidence.value("files checked", len(candidate.submission.files))
    if candidate.digest not in _read:
        _read.clear()
        files = {entry.path: entry.sha256 for entry in candidate.submission.files}
        _read[candidate.digest] = check_package(candidate.root, files, _declared(candidate))
    return _read[candidate.digest]


@requirement("security.weights")
def test_no_weights_file_contains_code(candidate: Candidate, evidence: EvidenceBox) -> None:
    files = [entry.path for entry in candidate.submission.files]
    opinions, scanners = second_opinions(candidate.root, files)
    evidence.value("other scanners", "; ".join(scanners) or "none installed (extra: security)")
    proofs = [finding for finding in check_weights(candidate.root, files) if finding.band == CERTAIN]
    reject_findings([*proofs, *opinions], evidence)


@requirement("security.weights-format")
def test_weights_are_safetensors(candidate: Candidate, evidence: EvidenceBox) -> None:
    files = [entry.path for entry in candidate.submission.files]
    reject_findings([row for row in check_weights(candidate.root, files) if row.band != CERTAIN], evidence)


@requirement("security.runtime-install")
def test_nothing_is_installed_at_run_time(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"runtime-install"}, {CERTAIN}), evidence)


@requirement("security.obfuscation")
def test_no_code_is_hidden(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"obfuscation"}, {CERTAIN}), evidence)


@requirement("security.secrets")
def test_no_secrets_are_read(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"secrets"}, {CERTAIN}), evidence)


@requirement("security.persistence")
def test_no_start_up_files_are_changed(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"persistence"}, {CERTAIN}), evidence)


@requirement("security.test-detection")
def test_the_harness_is_not_detected(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"test-detection"}, {CERTAIN}), evidence)


@requirement("security.trojan-source")
def test_source_reads_as_it_runs(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"trojan-source"}, {CERTAIN}), evidence)


@requirement("security.native-code")
def test_machine_code_is_declared(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"native-code"}, {CERTAIN, NOTED}), evidence)


@requirement("security.dynamic-code")
def test_no_code_is_built_from_data(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"dynamic-code"}), evidence)


@requirement("security.declared-hosts")
def test_every_host_is_declared(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"declared-hosts"}, {SUSPICIOUS, NOTED}), evidence)


@requirement("security.hidden-files")
def test_no_file_is_hidden(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, {"hidden-files"}), evidence)


@requirement("security.second-look")
def test_nothing_needs_a_second_look(findings: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(findings, set(PROVED), {SUSPICIOUS}), evidence)


def _declared(candidate: Candidate) -> Declared:
    manifest = candidate.manifest
    fetched = [row.url for row in (*manifest.models, *manifest.loras) if row.url]
    native = {
        candidate.file(row.file).relative_to(candidate.root).as_posix(): row.sha256 for row in manifest.native
    }
    return Declared(hosts_of([*manifest.network.hosts, *fetched]), native)
