"""The weights that the plugin opened while it ran."""

from __future__ import annotations

from pathlib import Path

from certify.candidate import Candidate
from certify.checks import NotEvidenced, expect_nothing_certain, requirement
from certify.context import Measurement
from certify.evidence import EvidenceBox
from certify.host.given import python_paths
from certify.host.ledger import Ledger
from certify.host.plugin import RemotePlugin
from certify.host.session import Event
from certify.instruments.findings import safe
from certify.licensing.opened import Opened, Places, judge, left_behind

_FILTERED = (
    "the kernel's filter looks at each file while its opening waits, whatever it is called; a file that is "
    "exchanged after that, and weights that never were a file, are not seen"
)
_UNFILTERED = (
    "Python's audit events, the SDK's loader, and what lies in the plugin's folders at the end; files that "
    "native code opens, such as safetensors does, are not seen at this level"
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
        raise NotEvidenced("The plugin was asked for nothing in this run.")
    events = [event for _, event in ledger.events if _counts(event, measurement.is_filtered)]
    told = [(event.detail, event.by == "kernel") for event in events if event.kind == "weights"]
    opened = [one for row in told if (one := Opened.of_event(*row))]
    evidence.value("how it was watched", _FILTERED if measurement.is_filtered else _UNFILTERED)
    places = _places(measurement, plugin, ledger)
    evidence.text("Weights opened", "\n".join(sorted({_shown(one, places) for one in opened})) or "none")
    behind = left_behind(plugin.scratch, places.handed)
    expect_nothing_certain(judge(candidate, [*opened, *behind], places), evidence)
    if any(event.kind == "overflow" and event.detail == "weights" for event in events):
        raise NotEvidenced("More files of weights were opened than can be kept.")


def _counts(event: Event, is_filtered: bool) -> bool:
    """Where the filter has looked at every file, names that the watch tells add nothing."""
    if event.kind == "weights":
        return not (is_filtered and event.detail.startswith("named "))
    return event.by == "kernel" or not is_filtered


def _places(measurement: Measurement, plugin: RemotePlugin, ledger: Ledger) -> Places:
    opening = plugin.opening
    model = opening.config.get("model") or {}
    given = [*opening.readable, *filter(None, [model.get("path")]), *python_paths()]
    packages = Path(opening.packages) if opening.packages else None
    return Places(measurement.worker_root, packages, tuple(map(Path, given)), frozenset(ledger.handed))


def _shown(one: Opened, places: Places) -> str:
    path = Path(one.path)
    own = path.is_relative_to(places.root)
    name = path.relative_to(places.root) if own else path
    by = "the kernel's filter" if one.by_kernel else "the watch inside"
    return f"{safe(str(name), 300)}: {one.what} (told by {by})"
