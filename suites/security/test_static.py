"""Checks of the package's files, without executing any of them.

Band A rejects, because its presence is proof. Band B warns, under its own family or under `second-look`.
"""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.instruments.code import of_family
from certify.instruments.code.package import Declarations, check_package, hosts_of
from certify.instruments.code.rules import Family
from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Finding
from certify.instruments.weights import check_weights
from certify.instruments.weights.scanners import second_opinions
from certify.measure.checks import reject_findings, requirement
from certify.measure.context import Measurement
from certify.record.evidence import EvidenceBox

# The families whose band A rejects under a requirement of their own name.
PROVED: tuple[Family, ...] = (
    *("runtime-install", "obfuscation", "secrets", "persistence", "test-detection", "trojan-source"),
    "native-code",
)


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
def test_nothing_is_installed_at_run_time(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"runtime-install"}, {CERTAIN}), evidence)


@requirement("security.obfuscation")
def test_no_code_is_hidden(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"obfuscation"}, {CERTAIN}), evidence)


@requirement("security.secrets")
def test_no_secrets_are_read(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"secrets"}, {CERTAIN}), evidence)


@requirement("security.persistence")
def test_no_start_up_files_are_changed(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"persistence"}, {CERTAIN}), evidence)


@requirement("security.test-detection")
def test_the_harness_is_not_detected(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"test-detection"}, {CERTAIN}), evidence)


@requirement("security.trojan-source")
def test_source_reads_as_it_runs(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"trojan-source"}, {CERTAIN}), evidence)


@requirement("security.native-code")
def test_machine_code_is_declared(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"native-code"}, {CERTAIN, NOTED}), evidence)


@requirement("security.dynamic-code")
def test_no_code_is_built_from_data(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"dynamic-code"}), evidence)


@requirement("security.declared-hosts")
def test_every_host_is_declared(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(
        of_family(_code(measurement, evidence), {"declared-hosts"}, {SUSPICIOUS, NOTED}), evidence
    )


@requirement("security.hidden-files")
def test_no_file_is_hidden(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), {"hidden-files"}), evidence)


@requirement("security.second-look")
def test_nothing_needs_a_second_look(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings(of_family(_code(measurement, evidence), set(PROVED), {SUSPICIOUS}), evidence)


def _code(measurement: Measurement, evidence: EvidenceBox) -> list[Finding]:
    """All findings of the rules for code in the package."""
    candidate = measurement.candidate
    evidence.value("files checked", len(candidate.submission.files))
    files = {entry.path: entry.sha256 for entry in candidate.submission.files}
    return measurement.once("code", lambda: check_package(candidate.root, files, _declared(candidate)))


def _declared(candidate: Candidate) -> Declarations:
    manifest = candidate.manifest
    fetched = [row.url for row in (*manifest.models, *manifest.loras) if row.url]
    native = {
        candidate.file(row.file).relative_to(candidate.root).as_posix(): row.sha256 for row in manifest.native
    }
    return Declarations(hosts_of([*manifest.network.hosts, *fetched]), native)
