"""`certify marks IMAGE...`: every layer of marks of any image, as a table or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from certify.apart import Missing, NotReadable, read_apart
from certify.errors import UserError
from certify.imagefile import ImageFile, open_image, read_credentials
from certify.instruments.marks.label import PICTURES, read_label
from certify.instruments.marks.layers import LAYERS, Layer
from certify.instruments.marks.rivagan import METHOD as RIVAGAN
from certify.instruments.marks.rivagan import judge_rivagan, rivagan_bits
from certify.instruments.marks.survey import Survey, survey
from certify.instruments.marks.trustmark import judge_trustmark, trustmark_bits
from certify.instruments.marks.words import KNOWN, KnownMark, PayloadError, payload_bits
from certify.policy import LoadedPolicy, judge, load_policy
from certify.progress import safe
from certify.streams import say

# rivaGan and TrustMark import torch, and read 512 x 512 pixels in seconds.
SLOW_SECONDS = 300.0
_SIGNS = {"present": "+", "absent": "-", "malformed": "!", "contradictory": "!", "cannot-carry": "?"}


def run(
    paths: Sequence[str],
    as_json: bool,
    payload: str = "",
    method: str = "",
    size: str = "",
    trust: str = "",
    policy: str = "",
    trustmark: str = "",
) -> int:
    """Reads each image and prints what its layers say.

    Exit code 0, or 1 where a `policy` is named and an image is not as it asks for. Raises UserError for what
    cannot be read.
    """
    marks = _marks(payload, method) if not trustmark else _only_trustmark(payload, method)
    wanted = load_policy(policy) if policy else None
    anchors = _anchors(trust) or (wanted.anchors if wanted else "")
    files = [open_image(Path(path)) for path in paths]
    found = [_survey(file, marks, _size(size), anchors) for file in files]
    label = _label(files)
    more = [{"label": label} if label else {} for _ in files]
    if method == RIVAGAN:
        more = [{**one, "invisible": _rivagan(file, payload)} for one, file in zip(more, files, strict=True)]
    if trustmark:
        more = [
            {**one, "invisible": _trustmark(file, payload, trustmark)}
            for one, file in zip(more, files, strict=True)
        ]
    rows = [_row(file, one, other, wanted) for file, one, other in zip(files, found, more, strict=True)]
    if as_json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        say("\n\n".join(_table(row) for row in rows))
    return int(any(row.get("wrong") for row in rows))


def _marks(payload: str, method: str) -> tuple[KnownMark, ...]:
    if not payload:
        if method:
            raise UserError(f"--method {method} needs a word to look for.", "Name it with --payload.")
        return KNOWN
    try:
        if method == RIVAGAN:
            rivagan_bits(payload)
            return KNOWN
        payload_bits(payload)
    except PayloadError as error:
        raise UserError(f"--payload: {error}.") from None
    return (*KNOWN, KnownMark("the named word", method or "lumaQim", payload, "--payload"))


def _only_trustmark(payload: str, method: str) -> tuple[KnownMark, ...]:
    if method or not payload:
        raise UserError(
            "--trustmark needs the word to look for.", "Name it with --payload, without --method."
        )
    try:
        trustmark_bits(payload)
    except PayloadError as error:
        raise UserError(f"--payload: {error}.") from None
    return KNOWN


def _size(text: str) -> tuple[int, int] | None:
    width, times, height = text.partition("x")
    if not text:
        return None
    if not (times and width.isdigit() and height.isdigit() and 0 < len(text) < 12):
        raise UserError(f'--size takes WIDTHxHEIGHT in pixels, for instance 512x512, not "{text[:40]}".')
    if not (8 <= int(width) <= 8192 and 8 <= int(height) <= 8192):
        raise UserError(f"--size {text}: sides are 8 to 8192 pixels.")
    return int(width), int(height)


def _anchors(trust: str) -> str:
    if not trust:
        return ""
    try:
        text = Path(trust).read_text("ascii")
    except OSError as error:
        raise UserError(f"--trust {trust} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UserError(f"--trust {trust} holds no certificates.", "It is a PEM file of CA certificates.")
    return text


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
        told = f"invisible-watermark and onnxruntime are needed for rivaGan: {missing}"
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        told = f"rivaGan could not be read: {error}"
    return Layer("invisible", "not-checkable-here", "", told[:300])


def _trustmark(file: ImageFile, payload: str, weights: str) -> Layer:
    size = (file.pixels.shape[1], file.pixels.shape[0])
    order = {"size": size, "weights": str(Path(weights).resolve()), "word": trustmark_bits(payload)}
    try:
        head, _ = read_apart("trustmark_word", order, file.pixels.tobytes(), SLOW_SECONDS)
        return judge_trustmark(head["words"], head["packet"])
    except Missing as missing:
        told = f"TrustMark's package is missing: pip install trustmark ({missing})"
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        told = f"TrustMark could not be read: {error}"
    return Layer("invisible", "not-checkable-here", "", told[:300])


def _label(files: Sequence[ImageFile]) -> Layer | None:
    """Several different pictures of one size tell their label together."""
    different = {file.pixels.tobytes(): file.pixels for file in files}
    pictures = list(different.values())
    if len(pictures) < PICTURES or len({picture.shape for picture in pictures}) > 1:
        return None
    return read_label([np.asarray(picture) for picture in pictures])


def _row(
    file: ImageFile, found: Survey, more: Mapping[str, Layer], policy: LoadedPolicy | None
) -> dict[str, Any]:
    """`more` are layers that were read otherwise, and stand for those of the survey."""
    layers = {**found.layers, **more}
    row: dict[str, Any] = {
        "image": file.name,
        "width": file.pixels.shape[1],
        "height": file.pixels.shape[0],
        "layers": {name: _plain(layers[name]) for name in LAYERS},
        "contradictions": list(found.contradictions),
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
        "mend": layer.mend,
        "warnings": list(layer.warnings),
        "facts": dict(layer.facts),
    }


def _table(row: Mapping[str, Any]) -> str:
    lines = [f"{safe(row['image'])}  {row['width']} x {row['height']}"]
    for name, layer in row["layers"].items():
        told = layer["value"] if layer["state"] == "present" else layer["reason"]
        lines.append(f"  {_SIGNS.get(layer['state'], '?')} {name:<12} {layer['state']:<18} {safe(told, 110)}")
        if found := layer["facts"].get("found"):
            lines.append(f"    {'':<12} {'':<18} {safe(found, 110)}")
        lines += [f"    {'':<12} {'warning':<18} {safe(warning, 110)}" for warning in layer["warnings"]]
    lines += [f"  ! contradiction: {safe(told, 200)}" for told in row["contradictions"]]
    lines += [f"  ! {safe(told, 200)}" for told in row["warnings"]]
    if "policy" in row:
        lines += _policy_lines(row)
    return "\n".join(lines)


def _policy_lines(row: Mapping[str, Any]) -> list[str]:
    name = row["policy"].rpartition(" (")[0]
    lines = [f"  ! {name}: {safe(told, 300)}" for told in row["wrong"]]
    lines += [f"  ? {name}: not checkable here: {safe(told, 300)}" for told in row["open"]]
    return lines or [
        f"  + {name}: check passed (of this file's layers; `certify run` tries what they survive)"
    ]
