"""The weights that the plugin opened during the run."""

from __future__ import annotations

from pathlib import Path

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN
from certify.measure.checks import NotEvidenced, reject_findings, requirement
from certify.measure.context import Measurement
from certify.measure.licensing.opened_weights import Opened, Places, judge, left_behind
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.grants import python_paths
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.plugin import RemotePlugin
from certify.sandbox.host.session import Event
from certify.text import safe

_FILTERED = (
    "the kernel's filter checks the content of each file before the open call returns; it does not see files "
    "that are replaced later, or weights that were never in a file"
)
_UNFILTERED = (
    "Python's audit events, the SDK's loader, and the plugin's folders at the end of the run; files that "
    "native code opens (as safetensors does) are not visible at this level"
)


@requirement("licence.weights-opened")
def test_the_weights_that_were_opened_are_declared(
    candidate: Candidate,
    measurement: Measurement,
    plugin: RemotePlugin,
    ledger: Ledger,
    evidence: EvidenceBox,
) -> None:
    if not ledger.calls:
        raise NotEvidenced("The plugin received no request in this run.")
    events = [event for _, event in ledger.events if _counts(event, measurement.is_filtered)]
    reports = [(event.detail, event.by == "kernel") for event in events if event.kind == "weights"]
    opened = [file for report in reports if (file := Opened.of_event(*report))]
    evidence.value("observed by", _FILTERED if measurement.is_filtered else _UNFILTERED)
    places = _places(measurement, plugin, ledger)
    evidence.text("Weights opened", "\n".join(sorted({_shown(file, places) for file in opened})) or "none")
    behind = left_behind(plugin.scratch, places.handed)
    reject_findings(judge(candidate, [*opened, *behind], places), evidence, {CERTAIN})
    if any(event.kind == "overflow" and event.detail == "weights" for event in events):
        raise NotEvidenced("The plugin opened more weight files than the record can hold.")


def _counts(event: Event, is_filtered: bool) -> bool:
    """Where the filter checked every file, names from the audit events in the worker add nothing."""
    if event.kind == "weights":
        return not (is_filtered and event.detail.startswith("named "))
    return event.by == "kernel" or not is_filtered


def _places(measurement: Measurement, plugin: RemotePlugin, ledger: Ledger) -> Places:
    opening = plugin.opening
    model = opening.config.get("model") or {}
    given = [*opening.readable, *filter(None, [model.get("path")]), *python_paths()]
    packages = Path(opening.packages) if opening.packages else None
    return Places(measurement.worker_root, packages, tuple(map(Path, given)), frozenset(ledger.handed))


def _shown(file: Opened, places: Places) -> str:
    path = Path(file.path)
    own = path.is_relative_to(places.root)
    name = path.relative_to(places.root) if own else path
    by = "the kernel's filter" if file.by_kernel else "audit events in the worker"
    return f"{safe(str(name), 300)}: {file.what} (reported by {by})"
