"""Runs the face detectors in a subprocess."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certify.decoders import NotReadable, read_apart
from certify.instruments.marks.pixels.faces import FaceReading, seen_in

INSTALL = "pip install sd-certify[faces]"


def faces_in(images: Sequence[NDArray[np.uint8]]) -> list[FaceReading]:
    """The reading for each RGB image (height, width, 3).

    Raises Missing where the weights or OpenCV are not installed, NotReadable where the detectors fail.
    """
    sizes = [(image.shape[1], image.shape[0]) for image in images]
    payload = b"".join(np.ascontiguousarray(image).tobytes() for image in images)
    head, _ = read_apart("faces", {"sizes": sizes}, payload)
    faces_by_image = head.get("faces")
    if not isinstance(faces_by_image, list) or len(faces_by_image) != len(images):
        raise NotReadable("the detectors returned another number of results than images")
    try:
        return [seen_in(faces) for faces in faces_by_image]
    except (AttributeError, TypeError, ValueError):
        raise NotReadable("the detectors returned an invalid result") from None
