"""The marks in an image's XMP packet: IPTC's digital source type, and the fields beside it.

Terms: IPTC NewsCodes "Digital Source Type"; property `DigitalSourceType` of the IPTC Extension schema.
`AISystemUsed` and `AISystemVersionUsed` are of IPTC Photo Metadata 2025.1.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from certify.instruments.marks.layers import Layer

XMP_KEY = "XML:com.adobe.xmp"
MAX_PACKET_BYTES = 64 << 10
MAX_VALUE = 4096
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

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
DC = "http://purl.org/dc/elements/1.1/"
XMP = "http://ns.adobe.com/xap/1.0/"

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_TERM = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w{1,64})")
_FIX = "Write Iptc4xmpExt:DigitalSourceType = http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia."


class PacketError(ValueError):
    """The XMP packet cannot be read; the message says why."""


class Packet:
    """An XMP packet, parsed: `values` gives the values of a property of the image. Values inside a
    structure, such as an ingredient, do not count for the image.
    """

    def __init__(self, root: ElementTree.Element) -> None:
        above = root if root.tag == _RDF + "RDF" else root.find(_RDF + "RDF")
        self._about = [] if above is None else above.findall(_RDF + "Description")

    def values(self, namespace: str, name: str) -> list[str]:
        """XMP allows a property as an attribute, as an element's text, as an rdf:resource, or as a list."""
        wanted = f"{{{namespace}}}{name}"
        values: list[str] = []
        for about in self._about:
            if wanted in about.attrib:
                values.append(about.attrib[wanted])
            for element in about.findall(wanted):
                items = [item.text or "" for item in element.iter(_RDF + "li")]
                values += items or [element.attrib.get(_RDF + "resource") or element.text or ""]
        return list(dict.fromkeys(value.strip()[:MAX_VALUE] for value in values))

    def first(self, namespace: str, name: str) -> str:
        return next(iter(self.values(namespace, name)), "")

    def names(self, namespace: str) -> list[str]:
        """The properties of a namespace that the packet has, as attributes or elements."""
        start = f"{{{namespace}}}"
        tags = [tag for about in self._about for tag in (*about.attrib, *(part.tag for part in about))]
        return list(dict.fromkeys(tag[len(start) :] for tag in tags if tag.startswith(start)))


def read_packet(texts: Mapping[str, str]) -> Packet | None:
    """The packet among an image's texts; None if there is none.

    Packets over 64 KiB and document types (entity bombs) are refused. Raises PacketError.
    """
    packet = texts.get(XMP_KEY)
    if packet is None:
        return None
    if len(packet.encode("utf-8", "replace")) > MAX_PACKET_BYTES:
        raise PacketError(f"the XMP packet is over {MAX_PACKET_BYTES} bytes")
    if "<!DOCTYPE" in packet.upper() or "<!ENTITY" in packet.upper():
        raise PacketError("the XMP packet declares a document type or an entity")
    try:
        return Packet(ElementTree.fromstring(packet))
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: lone surrogates
        raise PacketError(f"the XMP packet is not well-formed: {str(error)[:120]}") from None


def xmp_source_type(texts: Mapping[str, str]) -> Layer:
    """The digital source type among an image's texts, judged.

    `present`: a term of AI-generated media, as an http or https address in IPTC's own letter case. `absent`:
    no packet or no such property. `malformed`: a packet that cannot be read, or a value that is not the
    address of a term. `contradictory`: a term of other media, or terms that differ.
    """
    try:
        packet = read_packet(texts)
    except PacketError as error:
        return Layer("iptc", "malformed", "", str(error), _FIX)
    if packet is None:
        return Layer("iptc", "absent", "", "there is no XMP packet", _FIX)
    return _judge([value[:200] for value in packet.values(IPTC, "DigitalSourceType")])


def source_term(address: str) -> str:
    """The term that an address of a digital source type names; empty if it is no such address."""
    match = _TERM.fullmatch(address)
    return match.group(1) if match else ""


def _judge(values: list[str]) -> Layer:
    if not values:
        return Layer("iptc", "absent", "", "the XMP packet has no DigitalSourceType", _FIX)
    if len(values) > 1:
        reason = f"DigitalSourceType is given twice: {values[0]}, {values[1]}"
        return Layer("iptc", "contradictory", values[0], reason, "Write it once.")
    value, term = values[0], source_term(values[0])
    if term in AI_TERMS:
        return Layer("iptc", "present", value)
    if term in OTHER_TERMS:
        return Layer(
            "iptc", "contradictory", value, f"{term} does not say that the image is AI-generated", _FIX
        )
    reason, fix = "this is not the address of an IPTC digital source type (letter case counts)", _FIX
    near = {known.lower(): known for known in AI_TERMS}.get(value.rstrip("/").rpartition("/")[2].lower())
    if near:
        fix = f"The term is {near}, in this letter case, at the end of its address. {_FIX}"
    return Layer("iptc", "malformed", value, reason, fix)
