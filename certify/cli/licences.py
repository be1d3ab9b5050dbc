"""`certify licences PLUGIN`: the licence table, as text or JSON."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certify.cli.arguments import add_index, add_plugin
from certify.cli.option_values import index_place
from certify.errors import UserError
from certify.instruments.findings import CERTAIN, NOTED

if TYPE_CHECKING:
    from certify.candidate.candidate import Candidate
    from certify.cli.arguments import Commands
    from certify.instruments.findings import Finding
    from certify.instruments.licences.package_metadata import Package
    from certify.measure.licensing.tree import Part
    from certify.plan.catalogue import Catalogue

HELP_ORDER = 4
EXIT_FOUND = 1


def add_to(commands: Commands) -> None:
    licences = commands.add_parser(
        "licences",
        help="the licences of a plugin, its model, LoRAs and dependencies; executes no code of the plugin",
    )
    add_plugin(licences)
    licences.add_argument("--json", action="store_true", help="as JSON")
    add_index(licences)
    licences.add_argument("--sbom", default="", metavar="FILE", help="write a bill of materials (CycloneDX)")
    licences.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    return show(Path(arguments.plugin), index_place(arguments.index), arguments.json, arguments.sbom)


def show(plugin: Path, index: str = "", as_json: bool = False, sbom: str = "") -> int:
    """Prints the table. Returns 1 where a certain finding breaks a MUST that applies, 0 otherwise."""
    from certify.candidate.candidate import read_candidate
    from certify.measure.licensing.sbom import bill_of_materials
    from certify.measure.licensing.tree import drawn, parts
    from certify.plan.catalogue import load_catalogue
    from certify.submission.submission import open_submission
    from certify.terminal.streams import say

    catalogue = load_catalogue()
    with tempfile.TemporaryDirectory(prefix="certify-") as scratch:
        candidate = read_candidate(open_submission(plugin, Path(scratch) / "submission"))
        packages, note = _resolved(candidate, index)
        rows = parts(candidate, packages)
        by_requirement = findings(candidate, catalogue)
        if sbom:
            _write(Path(sbom), bill_of_materials(candidate, packages, complete=not note))
    broken = [name for name, hits in by_requirement.items() if breaks(catalogue, name, hits)]
    if as_json:
        say(json.dumps(_as_json(candidate, rows, by_requirement, broken, note), indent=2))
        return EXIT_FOUND if broken else 0
    say(drawn(rows))
    if note:
        say(f"dependencies: {note}")
    for name, hits in by_requirement.items():
        for hit in sorted(hits, key=lambda row: row.band):
            mark = "✗" if name in broken and hit.band == CERTAIN else "!" if hit.band != NOTED else "·"
            say(f"{mark} {name}: {hit}")
        if name in broken:
            say(f"  fix: {catalogue.find(name).fix}")
    if broken:
        say(f"{len(broken)} requirements broken: {', '.join(broken)}. `certify explain ID` gives reasons.")
    else:
        say("No certain finding. This is a check of files, not legal advice.")
    return EXIT_FOUND if broken else 0


def findings(candidate: Candidate, catalogue: Catalogue) -> dict[str, list[Finding]]:
    """The findings by requirement, for requirements that apply to this plugin."""
    from certify.measure.licensing.tree import CHECKS

    applying = {
        row.id for row in catalogue.requirements if all(trait in candidate.traits for trait in row.applies)
    }
    checked = {name: check(candidate) for name, check in CHECKS.items() if name in applying}
    # An unreadable LoRA is reported once, by licence.lora-declared.
    readable = {name: [hit for hit in hits if hit.rule != "unread"] for name, hits in checked.items()}
    return {name: hits for name, hits in readable.items() if hits}


def breaks(catalogue: Catalogue, name: str, hits: list[Finding]) -> bool:
    return catalogue.find(name).level == "must" and any(hit.band == CERTAIN for hit in hits)


def _as_json(
    candidate: Candidate,
    rows: list[Part],
    by_requirement: dict[str, list[Finding]],
    broken: list[str],
    note: str,
) -> dict[str, Any]:
    return {
        "plugin": candidate.name,
        "version": candidate.version,
        "digest": candidate.digest,
        "parts": [asdict(row) for row in rows],
        "findings": [
            {"requirement": name, **asdict(hit)} for name, hits in by_requirement.items() for hit in hits
        ],
        "broken": broken,
        "dependencies": note or "resolved",
    }


def _resolved(candidate: Candidate, index: str) -> tuple[tuple[Package, ...], str]:
    """The packages and a note, which says why where there are none."""
    from certify.measure.licensing.resolution import NotResolved, Resolver

    try:
        resolution = Resolver(index).resolve(candidate)
    except NotResolved as error:
        return (), f"not resolved: {error}"
    failed = "; ".join(f"{system}: {why}" for system, why in resolution.failures.items())
    return resolution.packages, f"they do not resolve on {failed}" if failed else ""


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"--sbom {file}: the file cannot be written: {error.strerror}.") from None
