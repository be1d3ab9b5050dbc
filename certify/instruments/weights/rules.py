"""The faults of weights files: slug -> (band, message, fix)."""

from __future__ import annotations

from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding
from certify.text import safe

_SAVE = "Save the tensors with safetensors.torch.save_file and delete this file."
_WHOLE = "Save the file again; its bytes count, not its name."

RULES: dict[str, tuple[Band, str, str]] = {
    "pickle": (CERTAIN, "this is a pickle, which runs code when it is loaded: it imports {what}", _SAVE),
    "pickle-of-tensors": (
        SUSPICIOUS,
        "this is a pickle; it imports only what tensors need: {what}",
        _SAVE,
    ),
    "not-scanned": (CERTAIN, "this file can't be cleared: {what}", _SAVE),
    "not-safetensors": (CERTAIN, "{what}", _WHOLE),
    "bomb": (CERTAIN, "this unpacks to far more than its size: {what}", _SAVE),
    "polyglot": (CERTAIN, "this is two files in one: {what}", _SAVE),
    "code-in-model": (CERTAIN, "this model contains code: {what}", _SAVE),
    "outside-path": (
        CERTAIN,
        "this model reads files outside the package: {what}",
        "Keep the data inside the package.",
    ),
    "custom-operators": (
        SUSPICIOUS,
        "this model needs custom operators: {what}",
        "Use the standard operators.",
    ),
    "second-opinion": (CERTAIN, "{what}", _SAVE),
    "unreadable": (CERTAIN, "the file can't be read: {what}", "Put a plain file in its place."),
}


def finding(file: str, rule: str, what: str) -> Finding:
    """`what` may be a candidate's own text: it is truncated and escaped here."""
    band, says, fix = RULES[rule]
    return Finding(file, 0, rule, says.format(what=safe(what, 200)), band, "", fix)
