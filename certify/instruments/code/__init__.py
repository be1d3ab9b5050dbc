"""Static rules for code that a store rejects: over syntax trees, texts and bytes. No code is run.

The rules see what the source says, through aliases, names put together from pieces, and encodings. The jail
reports what the code does at run time. A finding of band A is proof by itself; band B waits for the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set

from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding

from . import execution, forbidden_access, hosts, install_hooks, payloads, test_detection, trojan_source
from .rules import RULES, Family
from .source import Source, parse_source
from .source_view import View

__all__ = ["check_source", "of_family"]

MAX_LAYERS = 3
MAX_FINDINGS = 500  # of one source
_CHECKS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    execution.check,
    forbidden_access.check,
    test_detection.check,
    install_hooks.check,
    trojan_source.check,
)
# A weaker rule reports nothing on a line that the stronger rule has reported.
_STRONGER = {
    "credentials-named": "credentials",
    "start-up-named": "start-up",
    "install-named": "runtime-install",
    "dynamic-code": "hidden-code",
    "detour": "hidden-name",
    "encoded-code": "hidden-code",
}


def check_source(source: Source, declared: Set[str] = frozenset()) -> list[Finding]:
    """All findings of one source, sorted; `declared` are the hosts that its manifest declares."""
    findings = set(_findings(source, declared, MAX_LAYERS))
    reported = {(finding.line, finding.rule) for finding in findings}
    kept = [
        finding for finding in findings if (finding.line, _STRONGER.get(finding.rule, "")) not in reported
    ]
    return sorted(sorted(kept, key=lambda finding: finding.band)[:MAX_FINDINGS])


def of_family(
    findings: Iterable[Finding], families: Set[Family], bands: Set[Band] = frozenset({CERTAIN, SUSPICIOUS})
) -> list[Finding]:
    """Those of these families and bands."""
    return [
        finding
        for finding in findings
        if finding.rule in RULES and RULES[finding.rule].family in families and finding.band in bands
    ]


def _findings(source: Source, declared: Set[str], layers: int) -> Iterator[Finding]:
    view = View(source)
    for check in _CHECKS:
        yield from check(view)
    yield from hosts.check(view, declared)
    for finding, place, code in payloads.blobs(view):
        if finding is not None:
            yield finding
        if layers == 0 and code:
            yield view.finding("not-reviewable", place, "texts with code are nested too deep")
            continue
        inner = parse_source(code, source.file) if code else None
        if isinstance(inner, Source):
            yield from payloads.moved(list(_findings(inner, declared, layers - 1)), view, place)
    if view.is_exhausted:
        yield view.finding("not-reviewable", 1, "its texts and paths are too costly to evaluate")
