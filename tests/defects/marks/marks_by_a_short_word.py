"""Marks by SDXL's 48 bits, which a small image cannot prove alone, and no image after an upload."""

from dataclasses import replace

import numpy as np
from PIL import Image
from sound.plugin import Sound

WORD = "b3ec907bb19e"
# manifest: invisible = "lumaQim" => invisible = "dwtDct"\npayload = "b3ec907bb19e"


class MarksByAShortWord(Sound):
    def deliver(self, image, *rest):
        from imwatermark.maxDct import EmbedMaxDct

        bits = [int(bit) for bit in f"{int(WORD, 16):048b}"]
        bgr = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        # breaks: mark.survives
        # breaks: mark.fresh-payload as not-applicable
        marked = EmbedMaxDct(bits, wmLen=len(bits)).encode(bgr)
        return replace(super().deliver(image, *rest), image=Image.fromarray(marked[..., ::-1].copy()))
