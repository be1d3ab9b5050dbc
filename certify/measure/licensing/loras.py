"""Checks of a candidate's LoRAs: declaration, licence, base model, metadata, and private data."""

from __future__ import annotations

from collections.abc import Iterator

from certify.candidate.candidate import Candidate
from certify.candidate.manifest import Lora
from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding
from certify.instruments.licences import identifiers as licences
from certify.instruments.loras.files import (
    LoraFile,
    check_base,
    check_metadata,
    check_privacy,
    family_of,
    is_lora_file,
    read_lora,
)
from certify.instruments.loras.permissions import check_permissions, read_civitai
from certify.instruments.weights import WeightsError, sha256_of
from certify.measure.licensing.package_texts import check_text, paths, read


def lora_files(candidate: Candidate) -> list[str]:
    """The files of the package that are LoRAs by content."""
    return [path for path in paths(candidate) if is_lora_file(candidate.root / path)]


def declared(candidate: Candidate) -> list[Finding]:
    """Every LoRA in the package is readable and in the manifest with its hash."""
    rows = {candidate.file(lora.file): lora for lora in candidate.manifest.loras if lora.file}
    findings = [
        Finding(file, 0, "undeclared-lora", "it is a LoRA, and not in the manifest")
        for file in lora_files(candidate)
        if candidate.root / file not in rows
    ]
    for path, lora in rows.items():
        if not path.is_file():
            findings.append(Finding(str(lora.file), 0, "missing", "declared, but not in the package"))
        elif (digest := sha256_of(path)) != lora.sha256:
            message = f"it has sha256 {digest}, the manifest says {lora.sha256}"
            findings.append(Finding(str(lora.file), 0, "other-hash", message))
    findings += [
        Finding(lora_file.file, 0, "no-lora", f"declared as a LoRA, but {lora_file.message}")
        for _, lora_file in _readable(candidate)
        if isinstance(lora_file, Finding)
    ]
    return findings


def terms(candidate: Candidate) -> list[Finding]:
    """Each LoRA has a valid licence that allows commercial use, and the licence text."""
    findings = []
    for lora in candidate.manifest.loras:
        what = f"LoRA {lora.name}"
        for problem in licences.check_expression(lora.licence):
            findings.append(_of_manifest(candidate, "no-expression", f'{what}: "{lora.licence}": {problem}'))
        if not lora.commercial:
            findings.append(
                _of_manifest(candidate, "not-commercial", f"{what} is declared as not for commercial use")
            )
        if licences.is_non_commercial(lora.licence):
            message = f"{what} is under {lora.licence}, which forbids commercial use"
            findings.append(_of_manifest(candidate, "non-commercial", message))
        findings += check_text(lora.licence_file, lora.licence, read(candidate, lora.licence_file))
    return findings


def base(candidate: Candidate) -> list[Finding]:
    """Compares tensor shapes with the declared base, and the base with the plugin's models."""
    model_types = candidate.manifest.plugin.model_types
    families = {family_of(model_type) for model_type in model_types}
    findings = []
    for lora in candidate.manifest.loras:
        if family_of(lora.base) not in families:
            message = f"LoRA {lora.name} is for {lora.base}, the plugin works with {', '.join(model_types)}"
            findings.append(_of_manifest(candidate, "wrong-base", message))
        elif lora.base in ("v1.4", "v1.5") and lora.base not in model_types:
            message = f"LoRA {lora.name} is for {lora.base}, and may not fit {', '.join(model_types)}"
            findings.append(_of_manifest(candidate, "other-version", message, SUSPICIOUS))
    for lora, lora_file in _readable(candidate):
        findings += [lora_file] if isinstance(lora_file, Finding) else check_base(lora_file, lora.base)
    return findings


def metadata(candidate: Candidate) -> list[Finding]:
    """Compares a file's metadata with its content."""
    findings = []
    for _, lora_file in _readable(candidate):
        findings += (
            [lora_file] if isinstance(lora_file, Finding) else check_metadata(lora_file, candidate.root)
        )
    return findings


def permissions(candidate: Candidate) -> list[Finding]:
    """Compares a file's metadata and Civitai record with the declared licence."""
    findings = []
    for lora, lora_file in _readable(candidate):
        if isinstance(lora_file, Finding):
            findings.append(lora_file)
            continue
        record = read_civitai(candidate.root, lora_file.file)
        paid = candidate.manifest.commercial.paid
        findings += check_permissions(lora_file, record, lora.licence, lora.commercial, paid)
    return findings


def privacy(candidate: Candidate) -> list[Finding]:
    """Captions, paths and addresses that a file contains."""
    findings = []
    for _, lora_file in _readable(candidate):
        findings += [lora_file] if isinstance(lora_file, Finding) else check_privacy(lora_file)
    return findings


def _readable(candidate: Candidate) -> Iterator[tuple[Lora, LoraFile | Finding]]:
    """Each declared LoRA in the package with its parsed file, or a finding `unread`."""
    for lora in candidate.manifest.loras:
        if not lora.file or not candidate.file(lora.file).is_file():
            continue  # downloaded later, or missing, which `declared` reports
        file = candidate.file(lora.file).relative_to(candidate.root).as_posix()
        try:
            yield lora, read_lora(candidate.root, file)
        except (WeightsError, OSError) as error:
            yield lora, Finding(file, 0, "unread", f"its header can't be read: {error}", SUSPICIOUS)


def _of_manifest(candidate: Candidate, rule: str, message: str, band: Band = CERTAIN) -> Finding:
    return Finding(candidate.manifest_file, 0, rule, message, band)
