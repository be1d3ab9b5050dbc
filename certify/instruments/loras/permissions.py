"""The permissions of a LoRA's author that come with the file: the licence in its metadata, and the Civitai
record of the model.

Civitai's fields: `allowCommercialUse` lists the commercial uses (`Image`: sell images made with it,
`RentCivit` and `Rent`: run it for others, `Sell`: sell the model itself; older records have a single word or
`None`); `allowNoCredit`, `allowDerivatives` and `allowDifferentLicense` are true or false. Programs keep them
beside the file, as NAME.civitai.info, NAME.metadata.json or NAME.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Finding
from certify.instruments.licences.identifiers import check_expression, identifiers, is_non_commercial
from certify.instruments.licences.model_card import OPENRAIL, as_identifier
from certify.instruments.licences.texts import family

from .files import LoraFile, json_table

SIDECARS = (".civitai.info", ".metadata.json", ".json")
_FIELDS = ("allowCommercialUse", "allowNoCredit", "allowDerivatives", "allowDifferentLicense")


@dataclass(frozen=True)
class Civitai:
    """The permissions of a record; None if it doesn't say."""

    file: str
    commercial: frozenset[str] | None
    no_credit: bool | None
    derivatives: bool | None
    different_licence: bool | None


def read_civitai(root: Path, lora: str) -> Civitai | None:
    """The record beside a LoRA file, if it has permissions."""
    stem = (root / lora).with_suffix("")
    for suffix in SIDECARS:
        place = stem.with_name(stem.name + suffix)
        fields = next(
            (table for table in _tables(json_table(place)) if any(key in table for key in _FIELDS)), None
        )
        if fields is not None:
            different = fields.get("allowDifferentLicense", fields.get("allowDifferentLicenses"))
            return Civitai(
                file=place.relative_to(root).as_posix(),
                commercial=_words(fields["allowCommercialUse"]) if "allowCommercialUse" in fields else None,
                no_credit=_flag(fields.get("allowNoCredit")),
                derivatives=_flag(fields.get("allowDerivatives")),
                different_licence=_flag(different),
            )
    return None


def check_permissions(
    lora: LoraFile, record: Civitai | None, declared: str, commercial: bool, paid: bool
) -> list[Finding]:
    """`contradicts-licence` if the file's own permissions contradict the manifest: its licence
    `declared`, that it allows `commercial` use, and that the plugin is `paid`.
    """
    findings = _metadata_findings(lora, declared, commercial)
    if record is None:
        return findings
    wanted = {"Sell"} if paid else {"Image", "RentCivit", "Rent", "Sell"}
    if record.commercial is not None and commercial and not record.commercial & wanted:
        allowed = ", ".join(sorted(record.commercial)) or "nothing"
        needed = "Sell, since it is part of a paid plugin" if paid else "at least Image"
        message = f"Civitai's allowCommercialUse is {allowed}; it needs {needed}"
        findings.append(Finding(record.file, 0, "contradicts-licence", message))
    if record.no_credit is False:
        findings.append(Finding(record.file, 0, "credit", "its author asks to be named", NOTED))
    if record.derivatives is False:
        message = "its author allows no derivatives: it may not be merged or trained on"
        findings.append(Finding(record.file, 0, "no-derivatives", message, SUSPICIOUS))
    if record.different_licence is False:
        message = f"its author allows no other licence; {declared} must be the original licence"
        findings.append(Finding(record.file, 0, "same-licence", message, SUSPICIOUS))
    return findings


def _metadata_findings(lora: LoraFile, declared: str, commercial: bool) -> list[Finding]:
    said = as_identifier(lora.licence)
    if not said:
        return []
    if is_non_commercial(said) and commercial:
        message = f'its metadata says "{lora.licence[:60]}", which forbids commercial use'
        return [Finding(lora.file, 0, "contradicts-licence", message)]
    names = {family(name).lower() for name in identifiers(declared)}
    if family(said).lower() in names or not names:
        return []
    # Free text ("see the model's page") needs a person; two different identifiers do not.
    message = f'its metadata says "{lora.licence[:60]}", the manifest {declared}'
    unclear = bool(check_expression(said)) or said == OPENRAIL  # the name of a whole family
    return [Finding(lora.file, 0, "contradicts-licence", message, SUSPICIOUS if unclear else CERTAIN)]


def _tables(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object itself and the objects in it, two deep, as records nest them (`model`, `civitai`)."""
    yield content
    for inner in content.values():
        if isinstance(inner, dict):
            yield inner
            yield from (deeper for deeper in inner.values() if isinstance(deeper, dict))


def _words(value: object) -> frozenset[str]:
    """A list, a single word, or the older `{Image,Rent}`; `None` and false mean nothing."""
    if isinstance(value, str):
        value = value.strip("{} ").split(",")
    listed = value if isinstance(value, list) else ["Sell"] if value is True else []
    return frozenset(str(word).strip() for word in listed if str(word).strip() not in ("", "None"))


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
