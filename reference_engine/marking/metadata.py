"""The machine-readable marks in a file: an XMP packet and PNG text that declare how the image was made.

IPTC: `Iptc4xmpExt:DigitalSourceType` (IPTC Photo Metadata Standard; terms of NewsCodes digitalsourcetype),
and of the standard's version 2025.1 `AISystemUsed` and `AISystemVersionUsed`. GB 45438-2025: `TC260:AIGC`,
JSON as text (practice guide TC260-PG-20258A). PNG carries XMP as iTXt with the keyword "XML:com.adobe.xmp"
(XMP specification part 3, 1.1.5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

XMP_KEYWORD = "XML:com.adobe.xmp"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED_ALGORITHMIC_MEDIA = SOURCE_TYPES + "trainedAlgorithmicMedia"
COMPOSITE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
"""For an image made from a photograph: img2img, inpainting."""

NAMESPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}


@dataclass(frozen=True)
class Provider:
    """Who is responsible for an image: the fields that Chinese and Californian law require.

    `name` is the provider's, `code` its code in GB 45438's ContentProducer (its name if empty), `system`
    and `version` the generating system's.
    """

    name: str
    system: str
    version: str
    code: str = ""


def xmp_packet(
    provider: Provider | None = None,
    content_id: str = "",
    created: str = "",
    source_type: str = TRAINED_ALGORITHMIC_MEDIA,
) -> str:
    """The XMP packet that declares an image as made by a trained model.

    With a `provider` it also names who and what made it, and carries the AIGC label of GB 45438. `content_id`
    identifies the image; `created` is an ISO 8601 time with its zone.
    """
    fields = {"Iptc4xmpExt:DigitalSourceType": source_type}
    if provider is not None:
        fields |= {
            "Iptc4xmpExt:AISystemUsed": provider.system,
            "Iptc4xmpExt:AISystemVersionUsed": provider.version,
            "Iptc4xmpExt:DigImageGUID": content_id,
            "xmp:CreateDate": created,
            "TC260:AIGC": aigc_json(provider, content_id),
        }
    rows = "\n".join(f"   <{name}>{escape(value)}</{name}>" for name, value in fields.items() if value)
    if provider is not None:
        held = f"<rdf:Bag><rdf:li>{escape(provider.name)}</rdf:li></rdf:Bag>"
        rows += f"\n   <dc:publisher>{held}</dc:publisher>"
    used = [prefix for prefix in NAMESPACES if f"<{prefix}:" in rows]
    spaces = " ".join(f'xmlns:{prefix}="{NAMESPACES[prefix]}"' for prefix in used)
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" {spaces}>
{rows}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def aigc_json(provider: Provider, content_id: str) -> str:
    """GB 45438's implicit label: seven fields, all of them strings; "1" means AI-generated."""
    fields = {
        "Label": "1",
        "ContentProducer": provider.code or provider.name,
        "ProduceID": content_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def png_text(
    prompt: str, negative_prompt: str, parameters: Mapping[str, Any], packet: str = ""
) -> dict[str, str]:
    """Keyword to text, as written into the PNG: the exact prompts, the parameters as JSON, the XMP packet."""
    return {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "parameters-json": json.dumps(dict(parameters), default=str),
        XMP_KEYWORD: packet or xmp_packet(),
    }
