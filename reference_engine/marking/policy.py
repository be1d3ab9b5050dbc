"""The `marking` table of a configuration. It can add marks, and never remove any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import did_you_mean
from .credentials import ALGORITHMS, Credentials
from .label import DEFAULT_LABEL
from .metadata import XMP_KEYWORD, Provider

OWN_KEYWORDS = ("prompt", "negative_prompt", "parameters-json", XMP_KEYWORD)
"""The keywords that the SDK writes itself. Configurations may not use them."""
MAX_LABEL = 40
_ALWAYS_ON = ("invisible", "metadata")
_TABLES = {
    "provider": (("name", "system", "version"), ("code",)),
    "credentials": (("chain", "key"), ("algorithm",)),
}
"""From a table to its required and its optional keys. The values are text."""


@dataclass(frozen=True)
class MarkingPolicy:
    """Marks in addition to the invisible mark and the XMP declaration, which are on every image.

    `text` is written into the file: PNG keyword to text. `label` is drawn onto the image. The XMP packet
    names `provider`. The finished file is signed with `credentials`.
    """

    text: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    provider: Provider | None = None
    credentials: Credentials | None = None

    @classmethod
    def read(cls, value: Any) -> MarkingPolicy:
        """From a table in which `policy_mistakes` finds no mistake."""
        label, provider, signed = value.get("label", ""), value.get("provider"), value.get("credentials")
        return cls(
            text=dict(value.get("text", {})),
            label=DEFAULT_LABEL if label is True else label or "",
            provider=Provider(**provider) if provider else None,
            credentials=_credentials(signed) if signed else None,
        )


def _credentials(table: Mapping[str, str]) -> Credentials:
    chain, key = (Path(table[name]).expanduser() for name in ("chain", "key"))
    return Credentials(chain, key, table.get("algorithm", ALGORITHMS[0]))


def policy_mistakes(value: object) -> list[str]:
    """What is wrong with a `marking` table, one sentence each.

    `invisible` and `metadata` may only be true: switching a mark off is an error. Keywords are those of PNG:
    1 to 79 printable Latin-1 characters, no space at either end or doubled.
    """
    if not isinstance(value, Mapping):
        return [f'marking: must be a table such as {{"text": {{"Software": "Inkwash 1.0"}}}}, not {value!r}.']
    mistakes = []
    for key, item in value.items():
        if key in _ALWAYS_ON:
            if item is not True:
                mistakes.append(
                    f"marking.{key}: every image carries this mark; it cannot be {item!r}. Leave it out."
                )
        elif key == "label":
            mistakes += _label_mistakes(item)
        elif key in _TABLES:
            mistakes += _table_mistakes(key, item)
        elif key != "text":
            hint = did_you_mean(str(key), ("text", "label", *_TABLES, *_ALWAYS_ON))
            mistakes.append(f"marking.{key}: unknown key.{hint}")
        elif not isinstance(item, Mapping):
            mistakes.append(f"marking.text: must be a table of keyword to text, not {item!r}.")
        else:
            mistakes += [
                mistake for keyword, text in item.items() if (mistake := _text_mistake(keyword, text))
            ]
    return mistakes


def _label_mistakes(value: object) -> list[str]:
    if isinstance(value, bool) or (isinstance(value, str) and 0 < len(value) <= MAX_LABEL):
        return []
    return [f"marking.label: must be true, or text of 1 to {MAX_LABEL} characters, not {value!r}."]


def _table_mistakes(name: str, table: object) -> list[str]:
    needed, allowed = _TABLES[name]
    if not isinstance(table, Mapping):
        return [f"marking.{name}: must be a table with {', '.join(needed)}, not {table!r}."]
    known = (*needed, *allowed)
    mistakes = [f"marking.{name}.{key}: is missing." for key in needed if key not in table]
    for key, value in table.items():
        if key not in known:
            mistakes.append(f"marking.{name}.{key}: unknown key.{did_you_mean(str(key), known)}")
        elif not isinstance(value, str) or not value.strip() or not _is_unicode(value):
            mistakes.append(f"marking.{name}.{key}: must be text, not {value!r}.")
        elif key == "algorithm" and value not in ALGORITHMS:
            mistakes.append(f"marking.{name}.{key}: must be one of {', '.join(ALGORITHMS)}.")
    return mistakes


def _text_mistake(keyword: object, text: object) -> str:
    where = f"marking.text.{keyword}"
    if keyword in OWN_KEYWORDS:
        return f"{where}: the SDK writes this itself; choose another keyword."
    if not isinstance(keyword, str) or not _is_keyword(keyword):
        return f"{where}: a PNG keyword has 1 to 79 printable Latin-1 characters and single spaces inside."
    if not isinstance(text, str) or "\0" in text or not _is_unicode(text):
        return f"{where}: must be text without NUL, not {text!r}."
    return ""


def _is_keyword(text: str) -> bool:
    printable = all("\x20" <= char <= "\x7e" or "\xa1" <= char <= "\xff" for char in text)
    return 1 <= len(text) <= 79 and printable and text == " ".join(text.split())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
