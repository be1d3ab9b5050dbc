"""Static findings first, then what the run itself showed."""

from __future__ import annotations

from collections.abc import Collection

from certify.candidate import Candidate
from certify.checks import Broken, NotEvidenced, expect_none, requirement
from certify.context import RunContext
from certify.evidence import EvidenceBox
from certify.host.remote import Ledger
from certify.instruments import code
from certify.instruments.findings import Finding
from certify.instruments.network import undeclared
from certify.instruments.source import read_sources
from certify.instruments.weights import check_weights
from certify.submission import SubmissionError, digest_of

_HOW = (
    "Python audit events inside the worker and its forks; native code, other programs, and a plugin that "
    "tampers with its own process are not seen at this level"
)


@requirement("security.weights")
def test_every_weights_file_is_safetensors(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_none(check_weights(candidate.root, [entry.path for entry in candidate.submission.files]), evidence)


@requirement("security.runtime-install")
def test_nothing_is_installed_at_run_time(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_none(_in_sources(candidate, {"runtime-install"}), evidence)


@requirement("security.dynamic-code")
def test_no_code_is_built_from_data(candidate: Candidate, evidence: EvidenceBox) -> None:
    expect_none(_in_sources(candidate, {"dynamic-code", "shell", "unsafe-deserialisation"}), evidence)


@requirement("security.digest-unchanged")
def test_the_files_are_the_same_after_the_run(run: RunContext, ledger: Ledger) -> None:
    _was_asked(ledger)
    try:
        after = digest_of(run.worker_root)
    except SubmissionError as error:
        after = error.message
    assert after == run.candidate.digest, (
        f"Before the run {run.candidate.digest[:19]}..., after it {after[:200]}."
    )


@requirement("security.network")
def test_no_undeclared_host_was_contacted(
    candidate: Candidate, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _was_asked(ledger)
    events = [(event.kind, event.detail) for _, event in ledger.events]
    beyond = set(undeclared(events, candidate.manifest.network.hosts))
    _tell(_seen(ledger, "local"), evidence, "Local sockets")
    _judge(
        [act for act in _seen(ledger, "network") if act[1] in beyond],
        ledger,
        evidence,
        "network",
        "undeclared uses of the network",
    )


@requirement("security.writes")
def test_nothing_was_written_elsewhere(ledger: Ledger, evidence: EvidenceBox) -> None:
    _was_asked(ledger)
    _judge(_seen(ledger, "write"), ledger, evidence, "write", "writes outside its folders")


def _was_asked(ledger: Ledger) -> None:
    if not ledger.calls:
        raise NotEvidenced("The plugin was asked for nothing in this run.")


def _judge(
    broken: list[tuple[str, str]], ledger: Ledger, evidence: EvidenceBox, kind: str, what: str
) -> None:
    evidence.value("how it was watched", _HOW)
    _tell(_seen(ledger, "process"), evidence, "Programs started")
    _tell(broken, evidence, "Seen")
    assert not broken, f"{len(broken)} {what}, first: {broken[0][1]}"
    # What was not kept cannot be cleared.
    if any(detail == kind for _, detail in _seen(ledger, "overflow")):
        raise Broken(f"More events of kind {kind} than can be kept.")


def _seen(ledger: Ledger, kind: str) -> list[tuple[str, str]]:
    """(requirement that was being measured, what was seen); each once."""
    acts = ((identifier, event.detail) for identifier, event in ledger.events if event.kind == kind)
    return list(dict.fromkeys(acts))


def _tell(acts: list[tuple[str, str]], evidence: EvidenceBox, name: str) -> None:
    if acts:
        lines = (f"{detail}  (while measuring {identifier or 'loading'})" for identifier, detail in acts)
        evidence.text(name, "\n".join(lines))


def _in_sources(candidate: Candidate, rules: Collection[str]) -> list[Finding]:
    sources, _ = read_sources(candidate.root, [entry.path for entry in candidate.submission.files])
    return [finding for source in sources for finding in code.check_source(source) if finding.rule in rules]
