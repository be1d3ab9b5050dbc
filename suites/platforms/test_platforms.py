"""What the package says of other systems, read without running it."""

from __future__ import annotations

import platform

from packaging.specifiers import SpecifierSet

from certify.candidate.candidate import Candidate
from certify.instruments.code.source import Source, read_sources
from certify.instruments.findings import Finding
from certify.instruments.packages import imports as loading
from certify.instruments.portability import source as portability
from certify.measure.checks import reject_findings, requirement
from certify.measure.context import Measurement
from certify.record.evidence import EvidenceBox

SYSTEMS = ("linux", "macos", "windows")


@requirement("platform.declared")
def test_the_manifest_declares_three_systems(candidate: Candidate) -> None:
    missing = [system for system in SYSTEMS if system not in candidate.manifest.platforms.os]
    assert not missing, f"The manifest does not declare {', '.join(missing)}."


@requirement("platform.file-names")
def test_every_file_name_can_be_stored_everywhere(candidate: Candidate, evidence: EvidenceBox) -> None:
    reject_findings(portability.check_paths(entry.path for entry in candidate.submission.files), evidence)


@requirement("platform.imports")
def test_no_module_of_one_system_is_imported_unguarded(
    candidate: Candidate, measurement: Measurement, evidence: EvidenceBox
) -> None:
    sources, unread = _sources(measurement)
    rows = [candidate.manifest.plugin.entry, *(row.entry for row in candidate.manifest.samplers)]
    entries = [entry.partition(":")[0] for entry in rows if entry]
    loaded = loading.loaded(sources, entries)
    evidence.value(
        "modules that the entry loads",
        f"{sum(source.file in loaded for source in sources)} of {len(sources)}",
    )
    findings = [
        row for row in _findings(measurement) if row.rule == "one-platform-import" and row.file in loaded
    ]
    # A file that cannot be read may still be loaded.
    reject_findings([*unread, *findings], evidence)


@requirement("platform.text-encoding")
def test_text_files_are_opened_with_an_encoding(measurement: Measurement, evidence: EvidenceBox) -> None:
    reject_findings([row for row in _findings(measurement) if row.rule == "no-encoding"], evidence)


@requirement("platform.python-range")
def test_this_python_is_declared(candidate: Candidate, evidence: EvidenceBox) -> None:
    declared, running = candidate.manifest.platforms.python, platform.python_version()
    evidence.value("Python of this run", running)
    assert SpecifierSet(declared).contains(running, prereleases=True), (
        f"The run uses Python {running}, but the manifest declares {declared}."
    )


def _sources(measurement: Measurement) -> tuple[list[Source], list[Finding]]:
    candidate = measurement.candidate
    files = [entry.path for entry in candidate.submission.files]
    return measurement.once("sources", lambda: read_sources(candidate.root, files))


def _findings(measurement: Measurement) -> list[Finding]:
    """What keeps a module from working on another system, of every module in the package."""
    sources, _ = _sources(measurement)
    return measurement.once(
        "portability", lambda: [row for source in sources for row in portability.check_source(source)]
    )
