"""The front matter of a model card (README.md): its licence and base model.

Format: Hugging Face Hub, "Model Cards": YAML between two lines of `---` at the head of the file; `license` is
a name of the Hub, or `other` with `license_name` and `license_link`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

MAX_FRONT_MATTER = 64 << 10
_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)

# The Hub's names of licences, where they are not SPDX's own in small letters.
OPENRAIL = "LicenseRef-OpenRAIL"
_HUB = {
    "openrail": OPENRAIL,
    "openrail++": "OpenRAIL++-M",
    "creativeml-openrail-m": "CreativeML-OpenRAIL-M",
    "bigscience-openrail-m": "BigScience-OpenRAIL-M",
    "bigcode-openrail-m": "BigCode-OpenRAIL-M",
    "bigscience-bloom-rail-1.0": "BigScience-BLOOM-RAIL-1.0",
    "lgpl-lr": "LGPLLR",
    "pddl": "PDDL-1.0",
    "faipl-1.0-sd": "LicenseRef-FAIPL-1.0-SD",
    "stabilityai-ai-community": "LicenseRef-Stability-AI-Community",
    "stabilityai-nc-research-community": "LicenseRef-Stability-AI-NC-Research",
    "flux-1-dev-non-commercial-license": "LicenseRef-FLUX-1-dev-Non-Commercial",
}
_NAMES_NONE = ("", "other", "unknown", "none")


@dataclass(frozen=True)
class Card:
    """`licence` is an SPDX identifier or LicenseRef for the card's licence, empty if it names none; `named`
    is the card's own text. `bases` are the base models it names.
    """

    licence: str = ""
    named: str = ""
    bases: tuple[str, ...] = ()
    problem: str = ""


def read_card(text: str) -> Card | None:
    """The card in a README's text; None without front matter. Invalid YAML is reported as `problem`."""
    match = _FRONT.match(text)
    if match is None:
        return None
    matter = match.group(1)
    if len(matter) > MAX_FRONT_MATTER:
        return Card(problem=f"the front matter has over {MAX_FRONT_MATTER} characters")
    try:
        # Aliases are refused: a few lines of them expand to gigabytes.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(matter, yaml.SafeLoader)):
            return Card(problem="the front matter uses YAML aliases")
        fields = yaml.safe_load(matter)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 2
        return Card(problem=f"the front matter is no YAML (line {line})")
    if not isinstance(fields, dict):
        return Card(problem="the front matter is no table")
    named = _text(fields.get("license"))
    if named.lower() in _NAMES_NONE:
        named = _text(fields.get("license_name")) or named
    bases = fields.get("base_model")
    listed = bases if isinstance(bases, list) else [bases]
    return Card(as_identifier(named), named, tuple(filter(None, map(_text, listed)))[:20])


def as_identifier(name: str) -> str:
    """A name of the Hub (or of a LoRA's metadata) as an SPDX identifier; unchanged if it is on neither
    list, empty if it says nothing.
    """
    plain = name.strip()
    if plain.lower() in _NAMES_NONE:
        return ""
    return _HUB.get(plain.lower(), plain)


def _text(value: object) -> str:
    if isinstance(value, list):
        value = " AND ".join(str(part) for part in value[:5])
    return "" if value is None else str(value).strip()[:200]
