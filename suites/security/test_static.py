"""What is written in the package, read without running any of it.

Band A rejects: the presence proves it. Band B warns, under its own family or under `second-look`.
"""

from __future__ import annotations

import pytest

from certify.candidate.candidate import Candidate
from certify.instruments.code import of_family
from certify.instruments.code.package import Declarations, check_package, hosts_of
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
def found(candidate: Candidate, evidence: EvidenceBox) -> list[Finding]:
    """All that the rules for code find in the package; read once for all requirements."""
    evidence.value("files looked at", len(candidate.submission.files))
    if candidate.digest not in _read:
        _read.clear()
        files = {entry.path: entry.sha256 for entry in candidate.submission.files}
        _read[candidate.digest] = check_package(candidate.root, files, _declared(candidate))
    return _read[candidate.digest]


@requirement("security.weights")
def test_no_weights_file_brings_code(candidate: Candidate, evidence: EvidenceBox) -> None:
    files = [entry.path for entry in candidate.submission.files]
    opinions, asked = second_opinions(candidate.root, files)
    evidence.value("other scanners", "; ".join(asked) or "none installed (extra: security)")
    proofs = [finding for finding in check_weights(candidate.root, files) if finding.band == CERTAIN]
    reject_findings([*proofs, *opinions], evidence)


@requirement("security.weights-format")
def test_weights_are_safetensors(candidate: Candidate, evidence: EvidenceBox) -> None:
    files = [entry.path for entry in candidate.submission.files]
    reject_findings([one for one in check_weights(candidate.root, files) if one.band != CERTAIN], evidence)


@requirement("security.runtime-install")
def test_nothing_is_installed_at_run_time(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"runtime-install"}, {CERTAIN}), evidence)


@requirement("security.obfuscation")
def test_no_code_is_hidden(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"obfuscation"}, {CERTAIN}), evidence)


@requirement("security.secrets")
def test_no_secrets_are_reached_for(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"secrets"}, {CERTAIN}), evidence)


@requirement("security.persistence")
def test_nothing_is_planted(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"persistence"}, {CERTAIN}), evidence)


@requirement("security.test-detection")
def test_the_examiner_is_not_looked_for(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"test-detection"}, {CERTAIN}), evidence)


@requirement("security.trojan-source")
def test_sources_read_as_they_run(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"trojan-source"}, {CERTAIN}), evidence)


@requirement("security.native-code")
def test_machine_code_is_declared(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"native-code"}, {CERTAIN, NOTED}), evidence)


@requirement("security.dynamic-code")
def test_no_code_is_built_from_data(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"dynamic-code"}), evidence)


@requirement("security.declared-hosts")
def test_every_host_is_declared(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"declared-hosts"}, {SUSPICIOUS, NOTED}), evidence)


@requirement("security.hidden-files")
def test_no_file_is_out_of_sight(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, {"hidden-files"}), evidence)


@requirement("security.second-look")
def test_nothing_needs_a_second_look(found: list[Finding], evidence: EvidenceBox) -> None:
    reject_findings(of_family(found, set(PROVED), {SUSPICIOUS}), evidence)


def _declared(candidate: Candidate) -> Declarations:
    manifest = candidate.manifest
    fetched = [one.url for one in (*manifest.models, *manifest.loras) if one.url]
    native = {
        candidate.file(one.file).relative_to(candidate.root).as_posix(): one.sha256 for one in manifest.native
    }
    return Declarations(hosts_of([*manifest.network.hosts, *fetched]), native)
