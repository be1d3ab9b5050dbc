"""The marks that machines read in a file: an XMP packet and PNG text that say how the image came to be.

XMP property: IPTC Photo Metadata Standard, `Iptc4xmpExt:DigitalSourceType`; its terms: IPTC NewsCodes,
digitalsourcetype. PNG carries XMP as iTXt with the keyword "XML:com.adobe.xmp" (XMP specification part 3,
1.1.5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

XMP_KEYWORD = "XML:com.adobe.xmp"
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_XMP_PACKET = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:DigitalSourceType>{TRAINED_ALGORITHMIC_MEDIA}</Iptc4xmpExt:DigitalSourceType>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def xmp_packet() -> str:
    """The XMP packet that declares an image as made by a trained model."""
    return _XMP_PACKET


def png_text(prompt: str, negative_prompt: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Keyword to text, as written into the PNG: the exact prompts, the parameters as JSON, the XMP packet."""
    return {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "parameters-json": json.dumps(dict(parameters), default=str),
        XMP_KEYWORD: xmp_packet(),
    }
