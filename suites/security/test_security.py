"""What the plugin did during the run, as recorded by the kernel's filter and by audit events."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from certify.candidate.candidate import Candidate
from certify.instruments.code.network import undeclared
from certify.instruments.code.places import private_place
from certify.measure.checks import Broken, NotEvidenced, requirement
from certify.measure.context import Measurement
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.session import Event
from certify.submission.submission import SubmissionError, digest_of

_BY = {"kernel": "the kernel's filter", "worker": "Python's audit events in the worker"}
_UNFILTERED = (
    "Python's audit events in the worker and its forks; native code, other programs, and a plugin that "
    "tampers with its own process are not visible at this level"
)
_FILTERED = "the kernel's filter from outside, and Python's audit events in the worker"


@requirement("security.digest-unchanged")
def test_the_files_are_the_same_after_the_run(
    measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _expect_requests(ledger)
    try:
        after = digest_of(measurement.worker_root)
    except SubmissionError as error:
        after = error.message
    assert after == measurement.candidate.digest, (
        f"The plugin's files changed: the digest was {measurement.candidate.digest[:19]}... before the run "
        f"and is {after[:200]} after it."
    )
    tried = [act for act in _seen(ledger, "write") if _is_own(act, measurement)]
    _record(tried, evidence, "Seen")
    assert not tried, (
        f"{len(tried)} attempts to change the plugin's own files; the first: {tried[0].event.detail}"
    )


@requirement("security.network")
def test_no_undeclared_host_was_contacted(
    candidate: Candidate, measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _expect_requests(ledger)
    acts = [(event.kind, event.detail, event.by == "kernel") for _, event in ledger.events]
    hosts = set(undeclared(acts, candidate.manifest.network.hosts))
    _record(_seen(ledger, "local"), evidence, "Local sockets")
    broken = [act for act in _seen(ledger, "network") if act.event.detail in hosts]
    _judge(broken, measurement, ledger, evidence, "network", "undeclared network connections")


@requirement("security.writes")
def test_nothing_was_written_elsewhere(
    measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _expect_requests(ledger)
    broken = [act for act in _seen(ledger, "write") if not _is_own(act, measurement)]
    _judge(broken, measurement, ledger, evidence, "write", "writes outside the plugin's folders")


@requirement("security.stays-inside")
def test_the_plugin_stays_in_its_own_processes(
    measurement: Measurement, ledger: Ledger, evidence: EvidenceBox
) -> None:
    _expect_requests(ledger)
    for kind, what in (
        ("signal", "signals to other processes"),
        ("kernel", "system calls that a sandbox escape needs"),
    ):
        _judge(_seen(ledger, kind), measurement, ledger, evidence, kind, what)


@requirement("security.private-files")
def test_no_private_file_was_read(measurement: Measurement, ledger: Ledger, evidence: EvidenceBox) -> None:
    _expect_requests(ledger)
    reads = [act for act in _seen(ledger, "read") if private_place(act.event.detail)]
    reads += [act for act in _seen(ledger, "local") if private_place(act.event.detail.partition(" ")[2])]
    _judge(reads, measurement, ledger, evidence, "read", "reads of private files")


@requirement("security.programs")
def test_no_program_was_started(measurement: Measurement, ledger: Ledger, evidence: EvidenceBox) -> None:
    _expect_requests(ledger)
    _judge(_seen(ledger, "process"), measurement, ledger, evidence, "process", "programs started")


class _Act(NamedTuple):
    """An action of the plugin, and the requirement that was measured at that time."""

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


def _expect_requests(ledger: Ledger) -> None:
    if not ledger.calls:
        raise NotEvidenced("The plugin received no request in this run.")


def _judge(
    broken: list[_Act], measurement: Measurement, ledger: Ledger, evidence: EvidenceBox, kind: str, what: str
) -> None:
    evidence.value("observed by", _FILTERED if measurement.is_filtered else _UNFILTERED)
    _record(broken, evidence, "Seen")
    assert not broken, f"{len(broken)} {what}; the first: {broken[0].event.detail}"
    # Events that were not recorded cannot be cleared.
    if any(act.event.detail == kind for act in _seen(ledger, "overflow")):
        raise Broken(f"The plugin caused more events of kind {kind} than the record can hold.")


def _seen(ledger: Ledger, kind: str) -> list[_Act]:
    """Each act once; reports of the kernel come before those of the worker."""
    acts = (_Act(identifier, event) for identifier, event in ledger.events if event.kind == kind)
    return sorted(dict.fromkeys(acts), key=lambda act: act.event.by)


def _record(acts: list[_Act], evidence: EvidenceBox, name: str) -> None:
    if acts:
        evidence.text(name, "\n".join(map(str, acts)))
