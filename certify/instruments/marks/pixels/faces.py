"""Faces in a plugin's images: the result of two detectors for an image, and the decision for a plugin.

Detectors are wrong for about 5 % of images, so a single image decides nothing. A plugin shows faces if more
of its images show a face than chance explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from certify.instruments.marks.pixels.statistics import binomial_tail

SURE, UNSURE = 0.9, 0.6
"""YuNet's score: a face from 0.9, or from 0.6 if MTCNN detects it too."""
SECOND_OPINION = 0.9
FALSE_RATE = 0.05
"""At most this share of images without a face has a detection: 1 of 20 was measured, at 0.6."""
PROVEN = 0.01

FaceReading = Literal["face", "perhaps", "none"]


def seen_in(faces: Sequence[Mapping[str, Any]]) -> FaceReading:
    """The reading of an image: `face`, or `perhaps` if the detectors do not agree. A person decides
    about those.
    """
    seen: FaceReading = "none"
    for face in faces:
        score, second = float(face.get("score", 0)), face.get("second")
        if score >= SURE or (score >= UNSURE and second is not None and float(second) >= SECOND_OPINION):
            return "face"
        if score >= UNSURE:
            seen = "perhaps"
    return seen


@dataclass(frozen=True)
class FaceDecision:
    """`shows`: proven at 1 %; `perhaps`: some image shows or may show a face, no proof; `none`."""

    outcome: Literal["shows", "perhaps", "none"]
    faces: int
    perhaps: int
    images: int
    p_value: float


def decide(images: Sequence[FaceReading]) -> FaceDecision:
    """P(this number of N images or more has a detection | none shows a face), at a false rate of 5 %."""
    faces, perhaps = images.count("face"), images.count("perhaps")
    p_value = binomial_tail(faces, len(images), FALSE_RATE) if faces else 1.0
    if p_value <= PROVEN:
        return FaceDecision("shows", faces, perhaps, len(images), p_value)
    return FaceDecision("perhaps" if faces + perhaps else "none", faces, perhaps, len(images), p_value)
