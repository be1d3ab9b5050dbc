"""Faces among a plugin's images: what two detectors say of one, and what many say of a plugin.

Detectors err on one image in twenty or so, so one image decides nothing: that a plugin shows faces is
proven where so many of its images show one as chance would not explain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from certify.instruments.marks.pixels.statistics import binomial_tail

SURE, UNSURE = 0.9, 0.6
"""YuNet's score: from 0.9 on a face; from 0.6 on one where MTCNN sees it too."""
SECOND_OPINION = 0.9
FALSE_RATE = 0.05
"""Of images without a face, at most this share is taken for one: 1 of 20 was measured, at 0.6."""
PROVEN = 0.01

FaceReading = Literal["face", "perhaps", "none"]


def seen_in(faces: Sequence[Mapping[str, Any]]) -> FaceReading:
    """What one image shows: `face`, or `perhaps` where the detectors do not agree. A person decides
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
    """`shows`: proven at 1 %; `perhaps`: some image shows or may show one, which proves nothing; `none`."""

    outcome: Literal["shows", "perhaps", "none"]
    faces: int
    perhaps: int
    images: int
    p_value: float


def decide(images: Sequence[FaceReading]) -> FaceDecision:
    """P(so many of N images are taken for faces | none shows one), with the rate of false ones at 5 %."""
    faces, perhaps = images.count("face"), images.count("perhaps")
    p_value = binomial_tail(faces, len(images), FALSE_RATE) if faces else 1.0
    if p_value <= PROVEN:
        return FaceDecision("shows", faces, perhaps, len(images), p_value)
    return FaceDecision("perhaps" if faces + perhaps else "none", faces, perhaps, len(images), p_value)
