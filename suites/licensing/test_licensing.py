"""What the manifest says of licences, held against the files in the package."""

from __future__ import annotations

from pathlib import Path

from certify.candidate import Candidate
from certify.checks import requirement
from certify.evidence import EvidenceBox
from certify.instruments import licences
from certify.instruments.licence_texts import matches_text
from certify.instruments.model_terms import base_terms
from certify.instruments.weights import WeightsError, looks_like_lora, read_safetensors_header, sha256_of


@requirement("licence.expression")
def test_the_licence_is_an_spdx_expression(candidate: Candidate) -> None:
    expression = candidate.manifest.licence.expression
    problems = licences.check_expression(expression)
    assert not problems, f'"{expression}": {"; ".join(problems)}'


@requirement("licence.files")
def test_the_licence_files_hold_the_declared_licence(candidate: Candidate, evidence: EvidenceBox) -> None:
    licence = candidate.manifest.licence
    texts = [_text_of(candidate, file) for file in licence.files]
    for identifier in licences.identifiers(licence.expression):
        matches = [matches_text(identifier, text) for text in texts]
        best = max(matches, key=lambda match: match.score)
        if best.state == "not-checkable":
            evidence.value(f"text of {identifier}", "not checkable: no reference for this licence here")
            continue
        evidence.value(f"text of {identifier}", f"{best.score:.0%} of its telling phrases")
        found = any(match.state == "matches" for match in matches)
        missing, foreign = "; ".join(best.missing[:3]), "; ".join(best.foreign[:3])
        assert found, (
            f"No file holds the text of {identifier}: {', '.join(licence.files)}. "
            f"Missing: {missing or 'nothing'}; foreign: {foreign or 'nothing'}."
        )


@requirement("licence.base-model")
def test_the_licence_of_the_base_model_is_passed_on(candidate: Candidate) -> None:
    file = candidate.manifest.licence.model_terms
    assert file, "The manifest names no model_terms under [licence]."
    text = _text_of(candidate, file)
    for model_type in candidate.manifest.plugin.model_types:
        problems = base_terms(text, model_type)
        assert not problems, f"{file} does not pass on the licence of {model_type}: {'; '.join(problems)}"


@requirement("licence.lora-declared")
def test_every_lora_in_the_package_is_declared(candidate: Candidate, evidence: EvidenceBox) -> None:
    declared = {candidate.file(lora.file): lora for lora in candidate.manifest.loras if lora.file}
    found = [entry.path for entry in candidate.submission.files if _is_lora(candidate.root / entry.path)]
    evidence.text("LoRAs in the package", "\n".join(found) or "none")
    undeclared = [file for file in found if candidate.root / file not in declared]
    assert not undeclared, f"Not declared: {', '.join(undeclared)}."
    for path, lora in declared.items():
        assert path.is_file(), f"The manifest declares {lora.file}, which is not in the package."
        digest = sha256_of(path)
        assert digest == lora.sha256, f"{lora.file} has sha256 {digest}, the manifest says {lora.sha256}."


@requirement("licence.lora-terms")
def test_every_lora_has_a_commercial_licence_of_its_own(candidate: Candidate) -> None:
    for lora in candidate.manifest.loras:
        problems = licences.check_expression(lora.licence)
        assert not problems, f'LoRA {lora.name}: "{lora.licence}": {"; ".join(problems)}'
        assert lora.commercial, f"LoRA {lora.name} is declared as not for commercial use."
        forbids = licences.is_non_commercial(lora.licence)
        assert not forbids, f"LoRA {lora.name} is under {lora.licence}, which forbids commercial use."
        _text_of(candidate, lora.licence_file)


@requirement("licence.commercial")
def test_above_the_tier_the_agreement_is_in_the_package(candidate: Candidate) -> None:
    file = candidate.manifest.commercial.agreement
    assert file, "The manifest says above-50k, but names no agreement under [commercial]."
    path = candidate.file(file)
    assert path.is_file() and path.stat().st_size > 0, f"The agreement {file} is missing or empty."


@requirement("licence.paid-terms")
def test_nothing_in_a_paid_plugin_forbids_commercial_use(candidate: Candidate) -> None:
    manifest = candidate.manifest
    terms = {"the code": manifest.licence.expression}
    terms |= {f"weights {model.name}": model.licence for model in manifest.models}
    for what, expression in terms.items():
        forbids = licences.is_non_commercial(expression)
        assert not forbids, f"{what} is under {expression}, which forbids commercial use."


def _text_of(candidate: Candidate, file: str) -> str:
    read = licences.read_text(candidate.file(file))
    assert not read.problems, f"{file}: {'; '.join(read.problems)}."
    return read.text


def _is_lora(path: Path) -> bool:
    if path.suffix.lower() != ".safetensors":
        return False
    try:
        return looks_like_lora(read_safetensors_header(path))
    except (OSError, WeightsError):
        # A broken weights file is the finding of security.weights.
        return False
