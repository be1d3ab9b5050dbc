"""The conditions of the base model's licence, by paragraph (CreativeML OpenRAIL-M, OpenRAIL++-M)."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.candidate.manifest import BASES, Lora, Model
from certify.instruments.findings import SUSPICIOUS, Finding
from certify.instruments.licences.model_terms import (
    TITLES,
    Statement,
    attribution_kept,
    base_terms,
    change_stated,
    of_edition,
    restrictions_passed_on,
    slips,
)
from certify.measure.licensing.package_texts import all_texts, own_texts, read


def copy_of_licence(candidate: Candidate) -> list[Finding]:
    """Paragraph 4b: a complete copy of the licence of each base model."""
    file = candidate.manifest.licence.model_terms
    if not file:
        return [
            Finding(
                candidate.manifest_file, 0, "no-copy", "the manifest names no model_terms under [licence]"
            )
        ]
    text = read(candidate, file)
    if text.problems:
        return [Finding(file, 0, "unreadable", "; ".join(text.problems))]
    findings = []
    model_types = candidate.manifest.plugin.model_types
    both = len({TITLES[model_type] for model_type in model_types}) > 1
    for model_type in model_types:
        own = of_edition(text.text, model_type) if both else text.text
        if problems := base_terms(own, model_type):
            message = f"it does not pass on the licence of {model_type}: {'; '.join(problems)}"
            findings.append(Finding(file, 0, "not-whole", message))
        elif few := slips(own, model_type):
            findings.append(Finding(file, 0, "slip", f"a few words differ: {few}", SUSPICIOUS))
    return findings


def use_restrictions(candidate: Candidate) -> list[Finding]:
    """Paragraphs 4a and 5: the licence contains the use restrictions, and users are informed."""
    texts = own_texts(candidate, candidate.manifest.licence.terms)
    reading = restrictions_passed_on(texts)
    return _judged(
        candidate,
        reading,
        "not-passed-on",
        no="no terms of the plugin's own bind its users to the use restrictions (Attachment A)",
        maybe="the use restrictions are mentioned, but no term binds users to them",
    )


def attribution(candidate: Candidate) -> list[Finding]:
    """Paragraph 4d: copyright and attribution notices are kept."""
    texts = all_texts(candidate)
    findings = []
    for model_type in candidate.manifest.plugin.model_types:
        findings += _judged(
            candidate,
            attribution_kept(texts, model_type),
            "no-attribution",
            no=f"no text keeps the copyright notice of {TITLES[model_type]}'s authors ({model_type})",
            maybe=f"the authors of {model_type} are named, but without their copyright notice",
        )
    return findings


def change_notice(candidate: Candidate) -> list[Finding]:
    """Paragraph 4c: weights derived from the model carry a prominent notice of the change."""
    manifest = candidate.manifest
    texts = own_texts(candidate, manifest.licence.notice)
    texts |= {row.licence_file: read(candidate, row.licence_file).text for row in manifest.loras}
    weights: list[Model | Lora] = [*manifest.models, *manifest.loras]
    bases = {row.base for row in weights if row.file and row.base in BASES}
    findings = []
    for model_type in sorted(filter(None, bases)):
        findings += _judged(
            candidate,
            change_stated(texts, model_type),
            "no-change-notice",
            no=f"no notice says that the weights in the package were made from {model_type}",
            maybe=f"a change is mentioned, but not that {model_type} is what was changed",
        )
    return findings


def _judged(candidate: Candidate, reading: Statement, rule: str, no: str, maybe: str) -> list[Finding]:
    if reading.answer == "yes":
        return []
    if reading.answer == "maybe":
        return [Finding(reading.file, 0, rule, maybe, SUSPICIOUS)]
    return [Finding(candidate.manifest_file, 0, rule, no)]
