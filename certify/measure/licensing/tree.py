"""The licence tree: the plugin, its base models, weights, LoRAs and dependencies, and what each allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from certify.candidate.candidate import Candidate
from certify.instruments.findings import Finding
from certify.instruments.licences.model_terms import IDENTIFIERS, TITLES
from certify.instruments.licences.package_metadata import Package
from certify.instruments.licences.permissions import permission
from certify.measure.licensing import base_model as base
from certify.measure.licensing import code, dependencies, loras

# Requirement -> its check; these are all checks that run no candidate code.
CHECKS: dict[str, Callable[[Candidate], list[Finding]]] = {
    "licence.expression": code.expressions,
    "licence.files": code.files,
    "licence.model-card": code.model_card,
    "licence.undeclared": code.undeclared,
    "licence.base-model": base.copy_of_licence,
    "licence.use-restrictions": base.use_restrictions,
    "licence.attribution": base.attribution,
    "licence.change-notice": base.change_notice,
    "licence.lora-declared": loras.declared,
    "licence.lora-terms": loras.terms,
    "licence.lora-base": loras.base,
    "licence.lora-metadata": loras.metadata,
    "licence.lora-permissions": loras.permissions,
    "licence.lora-privacy": loras.privacy,
    "licence.commercial": code.agreement,
    "licence.paid-terms": code.non_commercial,
    "deps.form": dependencies.form,
    "deps.index-only": dependencies.places,
    "deps.bounded": dependencies.bounds,
    "deps.known-bad": dependencies.bad_names,
    "deps.lookalikes": dependencies.lookalikes,
}


@dataclass(frozen=True)
class Part:
    """One part of a plugin with its licence (an SPDX expression, empty where none is known)."""

    role: str
    name: str
    licence: str
    where: str = ""
    allows: str = field(init=False)

    def __post_init__(self) -> None:
        allowed = str(permission(self.licence)) if self.licence else "unknown"
        object.__setattr__(self, "allows", allowed)


def parts(candidate: Candidate, packages: Sequence[Package] = ()) -> list[Part]:
    """The parts in tree order, with the resolved dependencies, or else the declared ones without licences."""
    manifest = candidate.manifest
    rows = [
        Part(
            "plugin",
            f"{candidate.name} {candidate.version}",
            manifest.licence.expression,
            ", ".join(manifest.licence.files),
        )
    ]
    for model_type in manifest.plugin.model_types:
        name = f"Stable Diffusion {model_type}"
        rows.append(
            Part(
                "base model",
                name,
                IDENTIFIERS[model_type],
                manifest.licence.model_terms or TITLES[model_type],
            )
        )
    for model in manifest.models:
        rows.append(Part("weights", model.name, model.licence, model.file or model.url or ""))
    for lora in manifest.loras:
        rows.append(Part("LoRA", f"{lora.name} ({lora.base})", lora.licence, lora.file or lora.url or ""))
    if packages:
        rows += [
            Part("dependency", f"{row.name} {row.version}", row.licence, ", ".join(row.platforms))
            for row in packages
        ]
    else:
        declared = dependencies.declared(candidate).declared
        rows += [Part("dependency", str(row), "", f"{row.file}:{row.line}") for row in declared]
    return rows


def drawn(rows: Sequence[Part]) -> str:
    """The tree as text, one line per part."""
    name_width = min(40, max(len(row.name) for row in rows))
    licence_width = min(32, max(len(row.licence or "unknown") for row in rows))
    lines = []
    for number, row in enumerate(rows):
        branch = "" if number == 0 else "└─ " if number == len(rows) - 1 else "├─ "
        name, licence = row.name[:60].ljust(name_width), (row.licence or "unknown").ljust(licence_width)
        lines.append(f"{(branch + row.role).ljust(13)}  {name}  {licence}  {row.allows}")
    return "\n".join(lines)
