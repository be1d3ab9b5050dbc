"""Reads every layer of marks of image files as rows of plain data; `certify marks` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.decoders import Missing, NotReadable, read_apart
from certify.instruments.marks.layers import LAYERS, Layer
from certify.instruments.marks.pixels.label import PICTURES, read_label
from certify.instruments.marks.pixels.payloads import KNOWN, KnownMark, payload_bits
from certify.instruments.marks.pixels.rivagan import METHOD as RIVAGAN
from certify.instruments.marks.pixels.rivagan import judge_rivagan, rivagan_bits
from certify.instruments.marks.pixels.trustmark import judge_trustmark, trustmark_bits
from certify.instruments.marks.survey import Survey, survey
from certify.measure.marks.image_file import ImageFile, open_image, read_credentials
from certify.plan.policy import LoadedPolicy, judge

# Timeout: rivaGan and TrustMark import torch, and take seconds for 512 x 512 pixels.
SLOW_SECONDS = 300.0


@dataclass(frozen=True)
class Question:
    """What to search for. `payload` (hex) is a word of `method`, or of TrustMark where its `trustmark`
    weights (a folder) are named; `size` (width, height) is what the images were made in; `anchors` (PEM)
    whose signatures of credentials count."""

    payload: str = ""
    method: str = ""
    trustmark: str = ""
    size: tuple[int, int] | None = None
    anchors: str = ""

    def known_marks(self) -> tuple[KnownMark, ...]:
        """The words to search for in the pixels. Raises PayloadError for an invalid `payload`."""
        if self.trustmark:
            trustmark_bits(self.payload)
            return KNOWN
        if not self.payload:
            return KNOWN
        if self.method == RIVAGAN:
            rivagan_bits(self.payload)
            return KNOWN
        payload_bits(self.payload)
        return (*KNOWN, KnownMark("the named word", self.method or "lumaQim", self.payload, "--payload"))


def read_layers(
    paths: Sequence[str], question: Question, policy: LoadedPolicy | None
) -> list[dict[str, Any]]:
    """A row for each image. Raises UserError for one that cannot be read, PayloadError as `known_marks`."""
    marks = question.known_marks()
    files = [open_image(Path(path)) for path in paths]
    label = _label(files)
    rows = []
    for file in files:
        surveyed = _survey(file, marks, question.size, question.anchors)
        instead = {"label": label} if label else {}
        if question.method == RIVAGAN:
            instead["invisible"] = _rivagan(file, question.payload)
        if question.trustmark:
            instead["invisible"] = _trustmark(file, question.payload, question.trustmark)
        rows.append(_row(file, surveyed, instead, policy))
    return rows


def _survey(
    file: ImageFile, marks: Sequence[KnownMark], size: tuple[int, int] | None, anchors: str
) -> Survey:
    credentials = read_credentials([file.data], file.mime, anchors)[0]
    return survey(file.pixels, file.texts, credentials, marks, size)


def _rivagan(file: ImageFile, payload: str) -> Layer:
    size = (file.pixels.shape[1], file.pixels.shape[0])
    try:
        head, _ = read_apart("rivagan", {"size": size}, file.pixels.tobytes(), SLOW_SECONDS)
        return judge_rivagan(head["words"], payload)
    except Missing as missing:
        reason = f"invisible-watermark and onnxruntime are needed for rivaGan: {missing}"
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        reason = f"rivaGan could not be read: {error}"
    return Layer("invisible", "not-checkable-here", "", reason[:300])


def _trustmark(file: ImageFile, payload: str, weights: str) -> Layer:
    size = (file.pixels.shape[1], file.pixels.shape[0])
    request = {"size": size, "weights": str(Path(weights).resolve()), "word": trustmark_bits(payload)}
    try:
        head, _ = read_apart("trustmark_reader", request, file.pixels.tobytes(), SLOW_SECONDS)
        return judge_trustmark(head["words"], head["packet"])
    except Missing as missing:
        reason = f"TrustMark's package is missing: pip install trustmark ({missing})"
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        reason = f"TrustMark could not be read: {error}"
    return Layer("invisible", "not-checkable-here", "", reason[:300])


def _label(files: Sequence[ImageFile]) -> Layer | None:
    """Reads the label from several different images of one size together."""
    different = {file.pixels.tobytes(): file.pixels for file in files}
    images = list(different.values())
    if len(images) < PICTURES or len({image.shape for image in images}) > 1:
        return None
    return read_label([np.asarray(image) for image in images])


def _row(
    file: ImageFile, surveyed: Survey, instead: Mapping[str, Layer], policy: LoadedPolicy | None
) -> dict[str, Any]:
    """`instead`: layers that replace those of the survey."""
    layers = {**surveyed.layers, **instead}
    row: dict[str, Any] = {
        "image": file.name,
        "width": file.pixels.shape[1],
        "height": file.pixels.shape[0],
        "layers": {name: _plain(layers[name]) for name in LAYERS},
        "contradictions": list(surveyed.contradictions),
        "warnings": list(file.warnings),
    }
    if policy:
        judged = judge(policy.policy, layers)
        row |= {"policy": policy.label, "wrong": list(judged.wrong), "open": list(judged.open)}
    return row


def _plain(layer: Layer) -> dict[str, Any]:
    return {
        "state": layer.state,
        "value": layer.value,
        "reason": layer.reason,
        "mend": layer.fix,
        "warnings": list(layer.warnings),
        "facts": dict(layer.facts),
    }
