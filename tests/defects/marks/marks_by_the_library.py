"""Marks by dwtDctSvd of invisible-watermark, which outlives an upload too."""

from dataclasses import replace

import numpy as np
from PIL import Image
from sound.plugin import Sound

from reference_engine.marking import PAYLOAD_BITS

# manifest: invisible = "lumaQim" => invisible = "dwtDctSvd"


class MarksByTheLibrary(Sound):
    def deliver(self, image, *rest):
        from imwatermark.dwtDctSvd import EmbedDwtDctSvd

        bgr = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        marked = EmbedDwtDctSvd(list(PAYLOAD_BITS), wmLen=len(PAYLOAD_BITS)).encode(bgr)
        # breaks: nothing
        # breaks: mark.fresh-payload as not-applicable
        return replace(super().deliver(image, *rest), image=Image.fromarray(marked[..., ::-1].copy()))
