"""A candidate's dependencies, as declared and as resolved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from packaging.specifiers import SpecifierSet

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Finding
from certify.instruments.licences.package_metadata import Package
from certify.instruments.licences.permissions import permission
from certify.instruments.packages import dependencies as instrument
from certify.instruments.packages.dependencies import Dependencies, known_bad, lookalike, read_dependencies
from certify.measure.licensing.package_texts import paths

_FORM = ("invalid-requirement", "unreadable", "dynamic")
_PLACE = ("direct-url", "local-path", "foreign-index")


def declared(candidate: Candidate) -> Dependencies:
    return read_dependencies(candidate.root, paths(candidate))


def form(candidate: Candidate) -> list[Finding]:
    """Requirements that cannot be parsed."""
    return [row for row in declared(candidate).findings if row.rule in _FORM]


def places(candidate: Candidate) -> list[Finding]:
    """Requirements that do not come from the index."""
    return [row for row in declared(candidate).findings if row.rule in _PLACE]


def bounds(candidate: Candidate) -> list[Finding]:
    return instrument.check_bounds(declared(candidate).declared)


def bad_names(candidate: Candidate) -> list[Finding]:
    return [row for row in instrument.check_names(declared(candidate).declared) if row.rule == "known-bad"]


def lookalikes(candidate: Candidate) -> list[Finding]:
    return [row for row in instrument.check_names(declared(candidate).declared) if row.rule == "lookalike"]


def resolved_names(packages: Sequence[Package]) -> list[Finding]:
    """Malicious releases and look-alikes among indirect dependencies."""
    findings = []
    for package in packages:
        why = known_bad(package.name, SpecifierSet(), package.version)
        at = partial(Finding, f"{package.name} {package.version}", 0)
        if why:
            findings.append(at("known-bad", why))
        elif near := lookalike(package.name):
            findings.append(at("lookalike", f"one slip away from {near}", SUSPICIOUS))
    return findings


def resolved_licences(packages: Sequence[Package], paid: bool) -> list[Finding]:
    """Licences of resolved packages: `non-commercial` rejects a paid plugin, copyleft needs a review, and
    `no-licence` means that the metadata states none.
    """
    findings = []
    for package in packages:
        at = partial(Finding, f"{package.name} {package.version}", 0)
        if not package.licence:
            stated = f' ("{package.said[:60]}")' if package.said else ""
            findings.append(at("no-licence", f"its metadata names no licence that is known{stated}", NOTED))
            continue
        allowed = permission(package.licence)
        if allowed.sale == "no":
            message = f"it is under {package.licence}, which forbids commercial use"
            findings.append(at("non-commercial", message, CERTAIN if paid else NOTED))
        elif allowed.sharing in ("whole", "network"):
            findings.append(at("copyleft", f"it is under {package.licence}: {allowed}", SUSPICIOUS))
    return findings
