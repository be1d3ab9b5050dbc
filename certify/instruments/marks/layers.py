"""What one layer of marks says about one image, in the words that all layers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["present", "absent", "malformed", "contradictory", "cannot-carry", "not-checkable-here"]

LAYERS = ("invisible", "iptc", "aigc", "disclosure", "credentials", "label", "tool")
"""Every layer: the mark in the pixels, IPTC's digital source type, the AIGC label of GB 45438, California's
four latent fields, C2PA content credentials, the visible label, and what tools leave behind (for
information).
"""


@dataclass(frozen=True)
class Layer:
    """`value` is the text found (at most 200 characters), `reason` says why it isn't `present`, `fix`
    what an author does about it, `warnings` what was read although it is not as the standard has it.

    `not-checkable-here` is said where a library or weights are lacking: never a pass, and never a fault.
    """

    name: str
    state: State
    value: str = ""
    reason: str = ""
    fix: str = ""
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def contradictions(layers: Mapping[str, Layer]) -> list[str]:
    """Layers of one image that deny each other, a sentence each: one says that AI made it, another that
    it did not, or they name different systems.
    """
    says = [name for name, layer in layers.items() if layer.state == "present" and name != "tool"]
    denies = [name for name, layer in layers.items() if layer.state == "contradictory"]
    messages = [f"{denied} denies what {says[0]} says: {layers[denied].reason}" for denied in denies if says]
    ids = {
        layers[name].facts[key]
        for name, key in (("aigc", "ProduceID"), ("disclosure", "identifier"))
        if name in layers and layers[name].facts.get(key)
    }
    if len(ids) > 1:
        messages.append(f"the content has two numbers: {', '.join(sorted(ids))}")
    return messages
