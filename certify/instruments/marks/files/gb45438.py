"""The implicit label of GB 45438-2025: a JSON object under the key `AIGC`.

In images it is XMP's `TC260:AIGC` (practice guide TC260-PG-20258A). Its seven fields are strings: Label
("1" the content is AI-generated, "2" it may be, as a user says, "3" it is suspected, by a platform),
ContentProducer, ProduceID, ReservedCode1, ContentPropagator, PropagateID, ReservedCode2. A label in
another place, as some services write it, is read with a warning.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from certify.instruments.marks.files.xmp import TC260, PacketError, read_packet
from certify.instruments.marks.layers import Layer, State

KEY = "AIGC"
FIELDS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
NEEDED = ("Label", "ContentProducer", "ProduceID")
_FIX = (
    'Write TC260:AIGC into the XMP: {"Label":"1","ContentProducer":"...","ProduceID":"...",...}, '
    "every value a string; the SDK does it where the configuration names marking.provider."
)
_UNSURE = {"2": "it may be AI-generated", "3": "it is suspected to be AI-generated"}


def read_aigc(texts: Mapping[str, str]) -> Layer:
    """The label among an image's texts, judged by its field rules.

    `present`: Label "1", a producer and a number, all strings. `malformed`: anything that breaks a rule.
    `contradictory`: a Label that says less than its producer knows.
    """
    try:
        text, warnings = _find(texts)
    except PacketError as error:
        return _layer("malformed", "", str(error))
    if not text:
        return _layer("absent", "", "there is no AIGC label")
    table, more = _parse(text)
    warnings += more
    if table is None:
        return _layer("malformed", text, "the AIGC label is not a JSON object", warnings)
    wrong = _mistakes(table)
    facts = {key: str(value)[:200] for key, value in table.items() if key in FIELDS}
    if wrong:
        return _layer("malformed", text, "; ".join(wrong), warnings, facts)
    if table["Label"] in _UNSURE:
        reason = (
            f'Label "{table["Label"]}" says that {_UNSURE[table["Label"]]}; its producer knows, so write "1"'
        )
        return _layer("contradictory", text, reason, warnings, facts)
    return _layer("present", text, "", warnings, facts)


def _layer(
    state: State,
    value: str,
    reason: str,
    warnings: tuple[str, ...] = (),
    facts: Mapping[str, str] | None = None,
) -> Layer:
    fix = "" if state == "present" else _FIX
    return Layer("aigc", state, value[:200], reason, fix, warnings, facts or {})


def _find(texts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The label's text, from the standard place or from another."""
    packet = read_packet(texts)
    if packet is not None:
        if text := packet.first(TC260, KEY):
            return text, ()
        if fields := [name for name in packet.names(TC260) if name in FIELDS]:
            table = {name: packet.first(TC260, name) for name in fields}
            warning = "the fields are separate XMP properties; TC260:AIGC should hold them as JSON"
            return json.dumps(table, ensure_ascii=False), (warning,)
    for key in (KEY, f"TC260:{KEY}"):
        if key in texts:
            return texts[key], (f'the label is a PNG text "{key}", but belongs in XMP as TC260:AIGC',)
    return "", ()


def _parse(text: str) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    warnings: tuple[str, ...] = ()
    for _ in range(3):
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            table = None
        if isinstance(table, dict):
            inner = table.get(KEY)
            if isinstance(inner, dict) and "Label" not in table:
                return inner, (*warnings, "the object is nested in another object, under AIGC")
            return table, warnings
        plainer = html.unescape(text)
        if plainer == text:
            return None, warnings
        text, warnings = plainer, ("the JSON is escaped twice",)
    return None, warnings


def _mistakes(table: Mapping[str, Any]) -> list[str]:
    wrong = [f"{key} is missing" for key in NEEDED if key not in table]
    wrong += [
        f"{key} is {type(value).__name__}, not a string"
        for key, value in table.items()
        if key in FIELDS and not isinstance(value, str)
    ]
    wrong += [f"there is no field {key[:40]}" for key in table if key not in FIELDS]
    wrong += [
        f"{key} is empty" for key in NEEDED[1:] if isinstance(table.get(key), str) and not table[key].strip()
    ]
    label = table.get("Label")
    if isinstance(label, str) and label not in ("1", "2", "3"):
        wrong.append(f'Label is "{label[:40]}", not "1", "2" or "3"')
    return wrong
