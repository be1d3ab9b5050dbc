"""Errors of pydantic as messages with file, line and what to do."""

from __future__ import annotations

import json
import re
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from certify.candidate.toml_lines import Lines, Path
from certify.errors import did_you_mean

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TYPES: dict[type, str] = {bool: "a boolean", int: "a number", float: "a number with a fraction", str: "text",
                           list: "an array", dict: "a table"}  # fmt: skip
# pydantic's names of errors, and what the value must be instead.
_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false, without quotes",
    "tuple_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "invalid-json-value": "text, a number, true or false, an array or a table",
}


@dataclass(frozen=True)
class Mistake:
    """One mistake: its place, the dotted `key` (may be empty), what is wrong and what to do."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        about = f"{self.key}: " if self.key and not self.message.startswith(self.key) else ""
        return f"{self.file}:{self.line}: {about}{self.message}" + (f". {self.hint}" if self.hint else "")


def mistakes_of(
    error: ValidationError, model: type[BaseModel], file: str, lines: Lines, table: tuple[str, ...] = ()
) -> tuple[Mistake, ...]:
    """The mistakes in a `model` in the given table of a file, sorted by line."""
    mistakes = (
        _mistake(details, model, file, lines, table)
        for details in error.errors(include_url=False)
        # An array whose elements are all wrong counts as empty: its elements have their own errors.
        if not (details["type"] == "too_short" and details["input"])
    )
    return tuple(sorted(mistakes, key=lambda mistake: mistake.line))


def _mistake(
    details: ErrorDetails, model: type[BaseModel], file: str, lines: Lines, table: tuple[str, ...]
) -> Mistake:
    loc = details["loc"]
    owner, field = _meant(model, loc)
    key = dotted((*table, *loc))
    described = (field.description or "") if field else ""
    message, hint = _message(details, key, owner, described)
    return Mistake(file, lines.of((*table, *loc)), key, message, hint)


def _message(details: ErrorDetails, key: str, owner: type[BaseModel], described: str) -> tuple[str, str]:
    """Message and hint."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return f"{key} is missing", described
    if kind == "extra_forbidden":
        known = [info.alias or name for name, info in owner.model_fields.items()]
        hint = did_you_mean(str(details["loc"][-1]), known)
        return "unknown key", hint or f"Known here: {', '.join(known)}."
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", '"')
        near = did_you_mean(value, re.findall(r'"([^"]*)"', allowed)) if isinstance(value, str) else ""
        return f"{shown(value)} is not one of {allowed}", near
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_TYPES.get(type(value), 'a date or time')}", described
    if kind == "form":
        return str(context["message"]), described
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} does not have the required form", described
    if kind in ("too_short", "string_too_short"):
        return "must not be empty", described
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"{shown(value)} is out of range", described
    return details["msg"].lower(), described


def shown(value: object) -> str:
    """A value as in the manifest, shortened, without control characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:76] + ' ..."'


def dotted(path: Path) -> str:
    """`("loras", 0, "sha256")` as `loras[0].sha256`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else shown(part))
    return text


def _meant(model: type[BaseModel], loc: Path) -> tuple[type[BaseModel], FieldInfo | None]:
    """The table that contains the value at `loc`, and its field."""
    owner, inner, field = model, model, None
    for part in loc:
        if isinstance(part, int):
            continue
        owner = inner
        fields = {info.alias or name: info for name, info in owner.model_fields.items()}
        if part not in fields:
            return owner, None
        field = fields[part]
        nested = _model_in(field.annotation)
        if nested is None:
            break
        inner = nested
    return owner, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
