"""The latent disclosure of California: Business and Professions Code 22757.3(b), as of SB 942 and AB 853.

Four items, directly or by a link: the provider's name, the system's name and version, time and date, a unique
identifier. The law names no carrier, so the reader searches XMP, the AIGC label and content credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from certify.instruments.marks.files.xmp import DC, IPTC, XMP, PacketError, read_packet
from certify.instruments.marks.layers import Layer

FIELDS = ("provider", "system", "version", "time", "identifier")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_FIX = "Name marking.provider (name, system, version) in the configuration: the SDK then writes all four."


def read_disclosure(texts: Mapping[str, str], others: Mapping[str, Layer] | None = None) -> Layer:
    """The four fields, from an image's texts and from its other layers (`aigc`, `credentials`).

    `present`: all of them, the time as ISO 8601 with its zone. `malformed`: some. `absent`: none.
    """
    try:
        packet = read_packet(texts)
    except PacketError as error:
        return Layer("disclosure", "malformed", "", str(error), _FIX)
    fields = dict.fromkeys(FIELDS, "")
    if packet is not None:
        fields = {
            "provider": packet.first(DC, "publisher"),
            "system": packet.first(IPTC, "AISystemUsed"),
            "version": packet.first(IPTC, "AISystemVersionUsed"),
            "time": packet.first(XMP, "CreateDate"),
            "identifier": packet.first(IPTC, "DigImageGUID"),
        }
    for name, value in _from_others(others or {}):
        fields[name] = fields[name] or value
    lacking = [name for name in FIELDS if not fields[name]]
    facts = {name: value[:200] for name, value in fields.items() if value}
    if len(lacking) == len(FIELDS):
        return Layer("disclosure", "absent", "", "none of the four fields is present", _FIX)
    if lacking:
        return Layer("disclosure", "malformed", "", f"it lacks: {', '.join(lacking)}", _FIX, facts=facts)
    if not _TIME.fullmatch(fields["time"]):
        reason = f'the time "{fields["time"][:40]}" is not ISO 8601 with a zone'
        return Layer("disclosure", "malformed", "", reason, _FIX, facts=facts)
    return Layer(
        "disclosure",
        "present",
        f"{fields['provider']}: {fields['system']} {fields['version']}"[:200],
        facts=facts,
    )


_CARRIED = {
    "aigc": {"provider": "ContentProducer", "identifier": "ProduceID"},
    "credentials": {
        "provider": "issuer",
        "system": "generator",
        "version": "version",
        "time": "signed",
        "identifier": "instance",
    },
}
"""Layer -> field -> the corresponding fact of that layer."""


def _from_others(others: Mapping[str, Layer]) -> list[tuple[str, str]]:
    """The values of valid other layers for the same fields."""
    return [
        (field, others[name].facts.get(key, ""))
        for name, keys in _CARRIED.items()
        if name in others and others[name].state == "present"
        for field, key in keys.items()
    ]
