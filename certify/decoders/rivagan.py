"""The payload that rivaGan of invisible-watermark reads, by the library with its weights."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _frames

# The network runs in torch and onnxruntime, which reserve far more than they use.
_frames.MAX_MEMORY = 64 << 30


def answer(header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np
    from imwatermark import WatermarkDecoder
    from imwatermark.rivaGan import RivaWatermark

    RivaWatermark.loadModel()
    width, height = header["size"]
    rgb = np.frombuffer(payload, np.uint8).reshape(height, width, 3)
    words = []
    for view in (rgb, rgb[:, ::-1]):
        bits = WatermarkDecoder("bits", 32).decode(np.ascontiguousarray(view[..., ::-1]), "rivaGan")
        words.append([int(bit) for bit in bits])
    return {"words": words}, b""


_frames.serve(answer)
