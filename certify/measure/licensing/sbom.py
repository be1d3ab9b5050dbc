"""The bill of materials of a plugin: CycloneDX 1.6, JSON.

Models and LoRAs are components of type `machine-learning-model`, Python packages of type `library` with a
package URL (pkg:pypi/NAME@VERSION). The serial number is a version 5 UUID of the candidate's digest, so the
same plugin gives the same document.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certify import __version__
from certify.candidate.candidate import Candidate
from certify.instruments.licences.identifiers import canonical, check_expression, identifiers
from certify.instruments.licences.package_metadata import Package
from certify.instruments.weights import sha256_of

BILL = "sbom.cdx.json"
_SPACE = uuid.UUID("5d7f8a1e-6f1c-5c0e-9a55-1f0a51ab5b0e")  # our own namespace


def write_bill(folder: Path, candidate: Candidate, packages: Sequence[Package], complete: bool) -> None:
    """Writes the bill of materials into a run's folder; it replaces an earlier one."""
    (folder / BILL).write_text(bill_of_materials(candidate, packages, complete), "utf-8")


def bill_of_materials(candidate: Candidate, packages: Sequence[Package], complete: bool) -> str:
    """The JSON text. `complete`: `packages` are all packages that would be installed."""
    manifest = candidate.manifest
    components = [_weights(candidate, row, "weights") for row in manifest.models]
    components += [_weights(candidate, row, "lora") for row in manifest.loras]
    components += [_library(row) for row in packages]
    me = f"{candidate.name}@{candidate.version}"
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, candidate.digest)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "sd-certify", "version": __version__}]},
            "component": {
                "type": "application",
                "bom-ref": me,
                "name": candidate.name,
                "version": candidate.version,
                "hashes": [{"alg": "SHA-256", "content": candidate.digest.removeprefix("sha256:")}],
                **_licences(manifest.licence.expression),
            },
        },
        "components": components,
        "dependencies": [{"ref": me, "dependsOn": [row["bom-ref"] for row in components]}],
        "compositions": [
            {"aggregate": "complete" if complete else "incomplete_first_party_only", "assemblies": [me]}
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _weights(candidate: Candidate, row: Any, kind: str) -> dict[str, Any]:
    component = {
        "type": "machine-learning-model",
        "bom-ref": f"{kind}:{row.name}:{row.sha256[:12]}",
        "name": row.name,
        "hashes": [{"alg": "SHA-256", "content": _digest(candidate, row)}],
        **_licences(row.licence),
        "properties": [
            {"name": "certify:source", "value": row.source},
            {"name": "certify:base", "value": row.base or "not told"},
            {"name": "certify:file", "value": row.file or row.url or ""},
        ],
    }
    return component


def _digest(candidate: Candidate, row: Any) -> str:
    """The hash of the file in the package, or the declared hash of a file that is downloaded later."""
    if row.file and candidate.file(row.file).is_file():
        return sha256_of(candidate.file(row.file))
    return str(row.sha256)


def _library(row: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{row.name}@{row.version}",
        "name": row.name,
        **({"version": row.version} if row.version else {}),
        "purl": f"pkg:pypi/{row.name}" + (f"@{row.version}" if row.version else ""),
        **_licences(row.licence),
    }
    if row.platforms:
        component["properties"] = [{"name": "certify:platforms", "value": ", ".join(row.platforms)}]
    return component


def _licences(expression: str) -> dict[str, Any]:
    """CycloneDX accepts SPDX identifiers as `id`; other names are not valid expressions."""
    if not expression:
        return {}
    names = identifiers(expression)
    if check_expression(expression) or any("OpenRAIL" in name or "RAIL" in name for name in names):
        return {"licenses": [{"license": {"name": expression[:200]}}]}
    if len(names) == 1 and not names[0].startswith("LicenseRef-") and " " not in expression:
        return {"licenses": [{"license": {"id": canonical(names[0])}}]}
    return {"licenses": [{"expression": expression}]}
