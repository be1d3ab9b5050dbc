"""The result of a layer of marks for an image, in the same form for all layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["present", "absent", "malformed", "contradictory", "cannot-carry", "not-checkable-here"]

LAYERS = ("invisible", "iptc", "aigc", "disclosure", "credentials", "label", "tool")
"""Every layer: the mark in the pixels, IPTC's digital source type, the AIGC label of GB 45438, California's
four latent fields, C2PA content credentials, the visible label, and traces of tools (for
information).
"""


@dataclass(frozen=True)
class Layer:
    """`value` is the text of the mark (at most 200 characters), `reason` says why it isn't `present`, `fix`
    what the author can do, `warnings` names deviations from the standard that were accepted.

    `not-checkable-here` means that a library or weights are missing: never a pass, and never a fault.
    """

    name: str
    state: State
    value: str = ""
    reason: str = ""
    fix: str = ""
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def contradictions(layers: Mapping[str, Layer]) -> list[str]:
    """Contradictions between the layers of an image, a sentence each: a layer says that AI made it and
    another denies it, or they have different identifiers.
    """
    says = [name for name, layer in layers.items() if layer.state == "present" and name != "tool"]
    denies = [name for name, layer in layers.items() if layer.state == "contradictory"]
    messages = [f"{denied} contradicts {says[0]}: {layers[denied].reason}" for denied in denies if says]
    ids = {
        layers[name].facts[key]
        for name, key in (("aigc", "ProduceID"), ("disclosure", "identifier"))
        if name in layers and layers[name].facts.get(key)
    }
    if len(ids) > 1:
        messages.append(f"the content has two identifiers: {', '.join(sorted(ids))}")
    return messages
