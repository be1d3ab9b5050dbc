"""What the run itself showed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from certify.candidate import Candidate
from certify.checks import Broken, NotEvidenced, requirement
from certify.context import Measurement
from certify.evidence import EvidenceBox
from certify.host.ledger import Ledger
from certify.host.session import Event
from certify.instruments.network import undeclared
from certify.instruments.places import private_place
from certify.submission import SubmissionError, digest_of

_BY = {"kernel": "the kernel's filter", "worker": "Python's audit events inside"}
_UNFILTERED = (
    "Python audit events inside the worker and its forks; native code, other programs, and a plugin that "
    "tampers with its own process are not seen at this level"
)
_FILTERED = "the kernel's filter, from outside, and Python audit events inside"


@requirement("security.digest-unchanged")
def test_the_files_are_the_same_after_the_run(
    measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _was_asked(ledger)
    try:
        after = digest_of(measurement.worker_root)
    except SubmissionError as error:
        after = error.message
    assert after == measurement.candidate.digest, (
        f"Before the run {measurement.candidate.digest[:19]}..., after it {after[:200]}."
    )
    tried = [act for act in _seen(ledger, "write") if _is_own(act, measurement)]
    _tell(tried, evidence, "Seen")
    assert not tried, f"{len(tried)} attempts to change its own files, first: {tried[0].event.detail}"


@requirement("security.network")
def test_no_undeclared_host_was_contacted(
    candidate: Candidate, measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _was_asked(ledger)
    acts = [(event.kind, event.detail, event.by == "kernel") for _, event in ledger.events]
    beyond = set(undeclared(acts, candidate.manifest.network.hosts))
    _tell(_seen(ledger, "local"), evidence, "Local sockets")
    broken = [act for act in _seen(ledger, "network") if act.event.detail in beyond]
    _judge(broken, measurement, ledger, evidence, "network", "undeclared uses of the network")


@requirement("security.writes")
def test_nothing_was_written_elsewhere(
    measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _was_asked(ledger)
    broken = [act for act in _seen(ledger, "write") if not _is_own(act, measurement)]
    _judge(broken, measurement, ledger, evidence, "write", "writes outside its folders")


@requirement("security.stays-inside")
def test_it_kept_to_its_own_processes(
    measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _was_asked(ledger)
    for kind, what in (("signal", "signals to other processes"), ("kernel", "calls that lead out")):
        _judge(_seen(ledger, kind), measurement, ledger, evidence, kind, what)


@requirement("security.private-files")
def test_it_left_private_files_alone(measurement: Measurement, ledger: Ledger, evidence: EvidenceBox) -> None:
    _was_asked(ledger)
    looked = [act for act in _seen(ledger, "read") if private_place(act.event.detail)]
    looked += [act for act in _seen(ledger, "local") if private_place(act.event.detail.partition(" ")[2])]
    _judge(looked, measurement, ledger, evidence, "read", "looks into private places")


@requirement("security.programs")
def test_no_program_was_started(measurement: Measurement, ledger: Ledger, evidence: EvidenceBox) -> None:
    _was_asked(ledger)
    _judge(_seen(ledger, "process"), measurement, ledger, evidence, "process", "programs started")


class _Act(NamedTuple):
    """Something that the plugin did, and the requirement that was being measured meanwhile."""

    requirement: str
    event: Event

    def __str__(self) -> str:
        refused = ", refused" if self.event.refused else ""
        return (
            f"{self.event.detail}  (while measuring {self.requirement or 'loading'}; "
            f"seen by {_BY[self.event.by]}{refused})"
        )


def _is_own(act: _Act, measurement: Measurement) -> bool:
    """Whether a write was aimed at the plugin's own files."""
    return Path(act.event.detail).is_relative_to(measurement.worker_root.resolve())


def _was_asked(ledger: Ledger) -> None:
    if not ledger.calls:
        raise NotEvidenced("The plugin was asked for nothing in this run.")


def _judge(
    broken: list[_Act], measurement: Measurement, ledger: Ledger, evidence: EvidenceBox, kind: str, what: str
) -> None:
    evidence.value("how it was watched", _FILTERED if measurement.is_filtered else _UNFILTERED)
    _tell(broken, evidence, "Seen")
    assert not broken, f"{len(broken)} {what}, first: {broken[0].event.detail}"
    # What was not kept cannot be cleared.
    if any(act.event.detail == kind for act in _seen(ledger, "overflow")):
        raise Broken(f"More events of kind {kind} than can be kept.")


def _seen(ledger: Ledger, kind: str) -> list[_Act]:
    """Each act once; what the kernel told goes before what the worker told of the same."""
    acts = (_Act(identifier, event) for identifier, event in ledger.events if event.kind == kind)
    return sorted(dict.fromkeys(acts), key=lambda act: act.event.by)


def _tell(acts: list[_Act], evidence: EvidenceBox, name: str) -> None:
    if acts:
        evidence.text(name, "\n".join(map(str, acts)))
