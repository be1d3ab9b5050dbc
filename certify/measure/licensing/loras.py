"""The LoRAs of a candidate: declared, licensed, of the right base, honest, and free of private matter."""

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


def found(candidate: Candidate) -> list[str]:
    """The files in the package that are LoRAs by their content."""
    return [path for path in paths(candidate) if is_lora_file(candidate.root / path)]


def declared(candidate: Candidate) -> list[Finding]:
    """Every LoRA in the package can be read, and is in the manifest with the hash that it has."""
    rows = {candidate.file(lora.file): lora for lora in candidate.manifest.loras if lora.file}
    findings = [
        Finding(file, 0, "undeclared-lora", "it is a LoRA, and not in the manifest")
        for file in found(candidate)
        if candidate.root / file not in rows
    ]
    for path, lora in rows.items():
        if not path.is_file():
            findings.append(Finding(str(lora.file), 0, "missing", "declared, but not in the package"))
        elif (digest := sha256_of(path)) != lora.sha256:
            told = f"it has sha256 {digest}, the manifest says {lora.sha256}"
            findings.append(Finding(str(lora.file), 0, "other-hash", told))
    findings += [
        Finding(read_as.file, 0, "no-lora", f"declared as a LoRA, but {read_as.message}")
        for _, read_as in _readable(candidate)
        if isinstance(read_as, Finding)
    ]
    return findings


def terms(candidate: Candidate) -> list[Finding]:
    """Each has a valid licence that allows commercial use, and its text."""
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
            told = f"{what} is under {lora.licence}, which forbids commercial use"
            findings.append(_of_manifest(candidate, "non-commercial", told))
        findings += check_text(lora.licence_file, lora.licence, read(candidate, lora.licence_file))
    return findings


def base(candidate: Candidate) -> list[Finding]:
    """Shapes against the declared base, and that against the plugin's own models."""
    model_types = candidate.manifest.plugin.model_types
    families = {family_of(model_type) for model_type in model_types}
    findings = []
    for lora in candidate.manifest.loras:
        if family_of(lora.base) not in families:
            told = f"LoRA {lora.name} is for {lora.base}, the plugin works with {', '.join(model_types)}"
            findings.append(_of_manifest(candidate, "wrong-base", told))
        elif lora.base in ("v1.4", "v1.5") and lora.base not in model_types:
            told = f"LoRA {lora.name} is for {lora.base}, and may not fit {', '.join(model_types)}"
            findings.append(_of_manifest(candidate, "other-version", told, SUSPICIOUS))
    for lora, read_as in _readable(candidate):
        findings += [read_as] if isinstance(read_as, Finding) else check_base(read_as, lora.base)
    return findings


def metadata(candidate: Candidate) -> list[Finding]:
    """What a file says of itself against what it is."""
    findings = []
    for _, read_as in _readable(candidate):
        findings += [read_as] if isinstance(read_as, Finding) else check_metadata(read_as, candidate.root)
    return findings


def permissions(candidate: Candidate) -> list[Finding]:
    """What comes with a file (its metadata, a record of Civitai's) against the declared licence."""
    findings = []
    for lora, read_as in _readable(candidate):
        if isinstance(read_as, Finding):
            findings.append(read_as)
            continue
        record = read_civitai(candidate.root, read_as.file)
        paid = candidate.manifest.commercial.paid
        findings += check_permissions(read_as, record, lora.licence, lora.commercial, paid)
    return findings


def privacy(candidate: Candidate) -> list[Finding]:
    """Captions, paths and addresses that were left in a file."""
    findings = []
    for _, read_as in _readable(candidate):
        findings += [read_as] if isinstance(read_as, Finding) else check_privacy(read_as)
    return findings


def _readable(candidate: Candidate) -> Iterator[tuple[Lora, LoraFile | Finding]]:
    """Each declared LoRA whose file is in the package, read; or why it can't be, as a finding `unread`."""
    for lora in candidate.manifest.loras:
        if not lora.file or not candidate.file(lora.file).is_file():
            continue  # fetched later, with nothing to look at yet; or missing, which is told elsewhere
        file = candidate.file(lora.file).relative_to(candidate.root).as_posix()
        try:
            yield lora, read_lora(candidate.root, file)
        except (WeightsError, OSError) as error:
            yield lora, Finding(file, 0, "unread", f"its header can't be read: {error}", SUSPICIOUS)


def _of_manifest(candidate: Candidate, rule: str, told: str, band: Band = CERTAIN) -> Finding:
    return Finding(candidate.manifest_file, 0, rule, told, band)
