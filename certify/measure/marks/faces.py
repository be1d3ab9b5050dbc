"""Asking the face detectors, which run apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certify.decoders import NotReadable, read_apart
from certify.instruments.marks.pixels.faces import FaceReading, seen_in

INSTALL = "pip install sd-certify[faces]"


def faces_in(pictures: Sequence[NDArray[np.uint8]]) -> list[FaceReading]:
    """What each RGB picture (height, width, 3) shows.

    Raises Missing where the weights or OpenCV are not installed, NotReadable where the detectors fail.
    """
    sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
    payload = b"".join(np.ascontiguousarray(picture).tobytes() for picture in pictures)
    head, _ = read_apart("faces", {"sizes": sizes}, payload)
    found = head.get("faces")
    if not isinstance(found, list) or len(found) != len(pictures):
        raise NotReadable("the detectors answered for another number of pictures")
    try:
        return [seen_in(faces) for faces in found]
    except (AttributeError, TypeError, ValueError):
        raise NotReadable("the detectors answered out of form") from None
