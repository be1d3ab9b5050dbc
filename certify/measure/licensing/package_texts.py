"""A candidate's texts: those of the plugin itself, and those of the model's licence."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from certify.candidate.candidate import Candidate
from certify.instruments.findings import NOTED, SUSPICIOUS, Finding
from certify.instruments.licences.identifiers import LicenceText, identifiers, read_text
from certify.instruments.licences.texts import TextMatch, matches_text

_OWN = re.compile(
    r"(?:readme|notice|terms|eula|use[-_ ]?(?:policy|restrictions)|licen[cs]e|copying)", re.IGNORECASE
)
_SUFFIXES = ("", ".txt", ".md", ".rst")


def paths(candidate: Candidate) -> list[str]:
    """Every file of the package, relative to its root (posix)."""
    return [entry.path for entry in candidate.submission.files]


def read(candidate: Candidate, file: str) -> LicenceText:
    """A text that the manifest names; `problems` is why it cannot be read."""
    return read_text(candidate.file(file))


def own_texts(candidate: Candidate, *named: str | None) -> dict[str, str]:
    """The plugin's own texts (file -> text): those `named` in the manifest, else those with a usual file
    name; never the base model's licence."""
    chosen = [file for file in named if file] or _by_name(candidate)
    terms = candidate.manifest.licence.model_terms
    texts = {file: read(candidate, file).text for file in chosen if file != terms}
    return {file: text for file, text in texts.items() if text and not _is_model_licence(text)}


def all_texts(candidate: Candidate) -> dict[str, str]:
    """Own texts and the model's licence together."""
    licence = candidate.manifest.licence
    named = [file for file in (licence.model_terms, licence.notice, licence.terms) if file]
    files = dict.fromkeys([*named, *_by_name(candidate)])
    return {file: text for file in files if (text := read(candidate, file).text)}


def check_text(file: str, expression: str, licence_text: LicenceText) -> list[Finding]:
    """Checks that a file contains the text of each licence of `expression`."""
    if licence_text.problems:
        return [Finding(file, 0, "unreadable", "; ".join(licence_text.problems))]
    findings = []
    for identifier in identifiers(expression):
        findings += judge_match(file, identifier, matches_text(identifier, licence_text.text))
    return findings


def judge_match(file: str, identifier: str, match: TextMatch) -> list[Finding]:
    """A match as findings: `other-text` for another text, `slip` where few words differ."""
    if match.state == "matches":
        return []
    if match.state == "not-checkable":
        return [
            Finding(file, 0, "not-checkable", f"no reference text of {identifier} to compare it with", NOTED)
        ]
    quotes = list(dict.fromkeys(match.quotes))
    where = "; ".join(f'"{quote}"' for quote in quotes[:2])
    if match.state == "near":
        return [Finding(file, 0, "slip", f"a few words differ from {identifier}: {where}", SUSPICIOUS)]
    altered = match.score >= 0.5
    message = f"not the text of {identifier}"
    if altered:
        more = f" and {len(quotes) - 2} more" if len(quotes) > 2 else ""
        message = f"an altered text of {identifier} ({match.score:.1%} of it): {where}{more}"
    return [Finding(file, 0, "altered-text" if altered else "other-text", message)]


def _by_name(candidate: Candidate) -> list[str]:
    """Files beside plugin.toml with a usual name of such texts, as the manifest would name them."""
    folder = PurePosixPath(candidate.manifest_file).parent
    within = [PurePosixPath(path) for path in paths(candidate)]
    beside = [path for path in within if path.parent == folder and path.suffix.lower() in _SUFFIXES]
    return [path.name for path in beside if _OWN.match(path.name)]


def _is_model_licence(text: str) -> bool:
    return any(matches_text(name, text).score > 0.5 for name in ("CreativeML-OpenRAIL-M", "OpenRAIL++-M"))
