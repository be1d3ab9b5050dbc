"""The AI mark in an image's XMP packet: IPTC's digital source type.

Terms: IPTC NewsCodes "Digital Source Type"; property `DigitalSourceType` of the IPTC Extension schema.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

XMP_KEY = "XML:com.adobe.xmp"
MAX_PACKET_BYTES = 64 << 10
AI_TERMS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
OTHER_TERMS = (
    "algorithmicallyEnhanced",
    "algorithmicMedia",
    "composite",
    "compositeCapture",
    "compositeSynthetic",
    "computationalCapture",
    "dataDrivenMedia",
    "digitalArt",
    "digitalCapture",
    "digitalCreation",
    "humanEdits",
    "minorHumanEdits",
    "negativeFilm",
    "positiveFilm",
    "print",
    "screenCapture",
    "softwareImage",
    "virtualRecording",
)

_NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_PROPERTY = f"{{{_NAMESPACE}}}DigitalSourceType"
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
_TERM = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w{1,64})")

State = Literal["present", "absent", "malformed", "contradictory"]


@dataclass(frozen=True)
class SourceType:
    """What the XMP says: `value` is the text found (at most 200 characters), `reason` says why it isn't
    `present`.
    """

    state: State
    value: str | None
    reason: str


def xmp_source_type(texts: Mapping[str, str]) -> SourceType:
    """The digital source type among an image's texts, judged.

    `present`: a term of AI-generated media, as an http or https address in IPTC's own letter case. `absent`:
    no packet or no such property. `malformed`: a packet that cannot be read, or a value that is no address of
    a term. `contradictory`: a term of other media, or terms that differ. Packets over 64 KiB and document
    types (entity bombs) count as malformed.
    """
    packet = texts.get(XMP_KEY)
    if packet is None:
        return SourceType("absent", None, "there is no XMP packet")
    if len(packet.encode("utf-8", "replace")) > MAX_PACKET_BYTES:
        return SourceType("malformed", None, f"the XMP packet is over {MAX_PACKET_BYTES} bytes")
    if "<!DOCTYPE" in packet.upper() or "<!ENTITY" in packet.upper():
        return SourceType("malformed", None, "the XMP packet declares a document type or an entity")
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: lone surrogates
        return SourceType("malformed", None, f"the XMP packet is not well-formed: {str(error)[:120]}")
    return _judge(_values(root))


def _values(root: ElementTree.Element) -> list[str]:
    """XMP allows a property as an attribute, as an element's text, or as an rdf:resource."""
    found: list[str] = []
    for element in root.iter():
        if _PROPERTY in element.attrib:
            found.append(element.attrib[_PROPERTY])
        if element.tag == _PROPERTY:
            found.append(element.attrib.get(_RESOURCE) or element.text or "")
    return list(dict.fromkeys(value.strip()[:200] for value in found))


def _judge(values: list[str]) -> SourceType:
    if not values:
        return SourceType("absent", None, "the XMP packet has no DigitalSourceType")
    if len(values) > 1:
        return SourceType(
            "contradictory", values[0], f"DigitalSourceType is given twice: {values[0]}, {values[1]}"
        )
    value = values[0]
    match = _TERM.fullmatch(value)
    term = match.group(1) if match else ""
    if term in AI_TERMS:
        return SourceType("present", value, "")
    if term in OTHER_TERMS:
        return SourceType("contradictory", value, f"{term} does not say that the image is AI-generated")
    return SourceType(
        "malformed", value, "this is not the address of an IPTC digital source type (letter case counts)"
    )
