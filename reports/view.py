"""The content of a report in reading order, computed only from the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from certify.record.results import (
    Evidence,
    Isolation,
    Picture,
    RequirementResult,
    Results,
    Series,
    Text,
    Value,
)
from certify.terms.isolation import meets
from certify.terms.outcomes import Outcome

from .charts import Chart, draw
from .pictures import Album
from .text import plural

LABELS = {
    Outcome.FAILED: "Failed",
    Outcome.ERROR: "Error",
    Outcome.FLAKY: "Flaky",
    Outcome.NOT_EVIDENCED: "Not evidenced",
    Outcome.WARNED: "Warned",
    Outcome.PASSED: "Passed",
    Outcome.WAIVED: "Waived",
    Outcome.NOT_APPLICABLE: "Not applicable",
}
_ORDER = tuple(LABELS)
_FOLDED = (Outcome.PASSED, Outcome.WAIVED, Outcome.NOT_EVIDENCED, Outcome.NOT_APPLICABLE)
_LEVELS = ("must", "should", "info")


@dataclass(frozen=True)
class Shot:
    """An image in the evidence; `source` is empty where it was left out, and `note` says why."""

    image: Picture
    source: Markup
    note: str
    link: str


@dataclass(frozen=True)
class Curve:
    chart: Chart
    link: str


@dataclass(frozen=True)
class Block:
    """A run of evidence of one kind, shown together: `values`, `texts`, `shots` or `curves`."""

    values: tuple[Value, ...] = ()
    texts: tuple[Text, ...] = ()
    shots: tuple[Shot, ...] = ()
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Entry:
    row: RequirementResult
    anchor: str
    evidence: tuple[Block, ...]

    @property
    def outcome(self) -> str:
        return self.row.outcome.value

    @property
    def label(self) -> str:
        return LABELS[self.row.outcome]

    @property
    def title(self) -> str:
        return self.row.title or self.row.id

    @property
    def brief(self) -> str:
        """The first line of the message, for the folded row."""
        return self.row.message.strip().partition("\n")[0][:200]


@dataclass(frozen=True)
class Group:
    """The requirements of a suite that share an outcome and need no attention; folded."""

    outcome: str
    label: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    attention: tuple[Entry, ...]
    groups: tuple[Group, ...]
    size: int


@dataclass(frozen=True)
class Count:
    """The number of requirements with an outcome, and its part of the bar (0 to 100)."""

    outcome: str
    label: str
    count: int
    start: float
    width: float


@dataclass(frozen=True)
class Reason:
    """A reason of the verdict; where it names a requirement, `id` is that name and `anchor` its link."""

    text: str
    id: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Report:
    results: Results
    headline: str
    tail: str
    reasons: tuple[Reason, ...]
    attention: tuple[Entry, ...]
    suites: tuple[Suite, ...]
    counts: tuple[Count, ...]
    ran: int
    commands: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    isolated: bool


def build(results: Results, folder: Path) -> Report:
    entries = _entries(results, Album(folder))
    verdict, tail = headline(results)
    return Report(
        results=results,
        headline=verdict,
        tail=tail,
        reasons=_reasons(results, entries),
        attention=tuple(entry for entry in entries if needs_attention(entry.row)),
        suites=_suites(results, entries),
        counts=_counts(results),
        ran=ran(results),
        commands=_commands(results),
        environment=tuple(sorted(results.environment.items(), key=lambda item: item[0].lower())),
        isolated=_isolated(results.isolation),
    )


def needs_attention(row: RequirementResult) -> bool:
    """Whether the row is shown unfolded: every problem, and what counts but was not measured."""
    if row.outcome is Outcome.NOT_EVIDENCED:
        return row.counts
    return row.outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.FLAKY, Outcome.WARNED)


def ran(results: Results) -> int:
    """The number of requirements that were measured, as the verdict counts them."""
    return sum(row.attempts > 0 for row in results.requirements)


def headline(results: Results) -> tuple[str, str]:
    """The name of the verdict and the text after it: `("REJECTED", ": 3 requirements failed")`."""
    name = results.verdict.name
    if name in ("PASSED", "CERTIFIED"):
        return name, f" at profile {results.profile}"
    missing = results.planned - ran(results)
    tails = {
        "REJECTED": (_tail(results, Outcome.FAILED, "failed"),),
        "ERROR": (_tail(results, Outcome.ERROR, "ended in an error of the harness"),),
        "INCOMPLETE": (
            _tail(results, Outcome.NOT_EVIDENCED, "could not be measured"),
            _tail(results, Outcome.FLAKY, "are flaky"),
            f"{missing:,} of {results.planned:,} planned did not run" if missing > 0 else "",
        ),
    }
    tail = next(filter(None, tails[name]), "")
    return name, f": {tail}" if tail else ""


def _tail(results: Results, outcome: Outcome, verb: str) -> str:
    count = sum(row.counts and row.outcome is outcome for row in results.requirements)
    return f"{plural(count, 'requirement')} {verb}" if count else ""


def _reasons(results: Results, entries: Sequence[Entry]) -> tuple[Reason, ...]:
    anchors = {entry.row.id: entry.anchor for entry in entries}
    reasons = []
    for reason in results.verdict.reasons:
        identifier, colon, rest = reason.partition(": ")
        known = colon and identifier in anchors
        reasons.append(Reason(rest, identifier, anchors[identifier]) if known else Reason(reason))
    return tuple(reasons)


def _isolated(isolation: Isolation) -> bool:
    try:
        return meets(isolation.level, isolation.demanded)
    except ValueError:  # a level that this version does not know
        return False


def _entries(results: Results, album: Album) -> tuple[Entry, ...]:
    """Every requirement; those that need attention first, so that their images are inlined first."""
    rows = sorted(results.requirements, key=_urgency)
    anchors: set[str] = set()
    entries = []
    for row in rows:
        anchor = _anchor(row.id, anchors)
        anchors.add(anchor)
        entries.append(Entry(row, anchor, tuple(_blocks(row.evidence, album))))
    return tuple(entries)


def _urgency(row: RequirementResult) -> tuple[bool, bool, int, int]:
    attention = needs_attention(row)
    rank = _ORDER.index(row.outcome) if attention else 0
    return not attention, not row.counts, rank, _LEVELS.index(row.level)


def _anchor(identifier: str, taken: set[str]) -> str:
    safe = "".join(
        char if char.isascii() and (char.isalnum() or char in ".-_") else "-" for char in identifier
    )
    anchor, again = f"r-{safe}", 2
    while anchor in taken:
        anchor, again = f"r-{safe}-{again}", again + 1
    return anchor


def _blocks(evidence: Sequence[Evidence], album: Album) -> Iterable[Block]:
    for _, run in groupby(evidence, key=lambda item: item.kind):
        items = tuple(run)
        yield Block(
            values=tuple(item for item in items if isinstance(item, Value)),
            texts=tuple(item for item in items if isinstance(item, Text)),
            shots=tuple(_shot(item, album) for item in items if isinstance(item, Picture)),
            curves=tuple(
                Curve(draw(item), album.link(item.file) if item.file else "")
                for item in items
                if isinstance(item, Series)
            ),
        )


def _shot(image: Picture, album: Album) -> Shot:
    inlined = album.inline(image.file)
    return Shot(image, inlined.source, inlined.note, album.link(image.file))


def _suites(results: Results, entries: Sequence[Entry]) -> tuple[Suite, ...]:
    """Suites in the order of the results; a suite without a title comes last, under its name."""
    names = dict.fromkeys([*results.suites, *(row.suite for row in results.requirements)])
    suites = []
    for name in names:
        members = [entry for entry in entries if entry.row.suite == name]
        folded = [entry for entry in members if not needs_attention(entry.row)]
        groups = tuple(
            Group(outcome.value, _group_label(outcome), group)
            for outcome in _FOLDED
            if (group := tuple(entry for entry in folded if entry.row.outcome is outcome))
        )
        attention = tuple(entry for entry in members if needs_attention(entry.row))
        if members:
            suites.append(Suite(name, results.suites.get(name, name), attention, groups, len(members)))
    return tuple(suites)


def _group_label(outcome: Outcome) -> str:
    return "Not evidenced, and not counted" if outcome is Outcome.NOT_EVIDENCED else LABELS[outcome]


def _counts(results: Results) -> tuple[Count, ...]:
    total = len(results.requirements) or 1
    counts, start = [], 0.0
    for outcome in _ORDER:
        count = sum(row.outcome is outcome for row in results.requirements)
        if count:
            width = round(100 * count / total, 2)
            counts.append(Count(outcome.value, LABELS[outcome], count, round(start, 2), width))
            start += width
    return tuple(counts)


def _commands(results: Results) -> tuple[tuple[str, str], ...]:
    return (
        ("Repeat the run with the same seed", results.repeat),
        ("Repeat one requirement (from this run's folder)", "certify replay . REQUIREMENT"),
        ("Write this report again (from this run's folder)", "certify report ."),
    )
