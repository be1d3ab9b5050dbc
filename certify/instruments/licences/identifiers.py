"""Licence identifiers and licence files: is the expression valid, is commercial use allowed, can the file be
read?

Identifiers: SPDX License List and SPDX 2.3 annex D (expressions), through license-expression.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, Licensing, get_license_index

from certify.errors import did_you_mean

MAX_EXPRESSION = 500
MAX_TEXT_BYTES = 1 << 20
# Widely used for models, but on no SPDX list.
RAIL_IDS = (
    "CreativeML-OpenRAIL-M",
    "OpenRAIL++-M",
    "BigScience-OpenRAIL-M",
    "BigCode-OpenRAIL-M",
    "BigScience-BLOOM-RAIL-1.0",
)

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_OWN_REFERENCE = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_DEPRECATED = re.compile(r"([AL]?GPL|GFDL)-[\d.]+\+?")  # the index also has names that were never listed
_NON_COMMERCIAL = re.compile(r"(^|[-._])(nc|non-?commercial)([-._]|$)|noncommercial", re.IGNORECASE)


@dataclass(frozen=True)
class LicenceText:
    """A licence file as read: `text` is empty if `problems` say why it could not be read."""

    text: str
    problems: tuple[str, ...]


def check_expression(text: str) -> list[str]:
    """What is wrong with an SPDX expression; empty when it is valid. `LicenseRef-*` and the RAIL identifiers
    are known.
    """
    if not text.strip():
        return ["the licence expression is empty"]
    if len(text) > MAX_EXPRESSION:
        return [f"a licence expression has at most {MAX_EXPRESSION} characters"]
    try:
        parsed = Licensing().parse(text)
        keys = Licensing().license_keys(parsed)
    except (ExpressionError, RecursionError, ValueError, TypeError, AttributeError) as error:
        return [f"this is no licence expression: {str(error)[:200]}"]
    licences, exceptions = _known()
    excepted = {match.lower() for match in re.findall(r"(?i)\bwith\s+([\w.+-]+)", text)}
    problems: list[str] = []
    for key in keys:
        known = exceptions if key.lower() in excepted else licences
        # SPDX matches identifiers without regard to letter case; "GPL-2.0+" means that version or later.
        if (
            key.lower().removesuffix("+") not in known
            and key.lower() not in known
            and not _OWN_REFERENCE.fullmatch(key)
        ):
            near = did_you_mean(key, known.values())
            problems.append(
                f'"{key[:80]}" is no SPDX identifier; use one, or LicenseRef-YOUR-NAME. {near}'.strip()
            )
    return problems


def parse(expression: str) -> Any:
    """The tree of an SPDX expression (license-expression's); None where it cannot be parsed."""
    try:
        return Licensing().parse(expression[:MAX_EXPRESSION])
    except (ExpressionError, RecursionError, ValueError, TypeError, AttributeError):
        return None


def identifiers(expression: str) -> list[str]:
    """The licence identifiers of an SPDX expression, in its order; empty where it cannot be parsed."""
    parsed = parse(expression)
    return [] if parsed is None else [str(key) for key in Licensing().license_keys(parsed)]


def canonical(identifier: str) -> str:
    """An identifier as SPDX spells it; unchanged if it is on no list."""
    licences, exceptions = _known()
    return licences.get(identifier.lower()) or exceptions.get(identifier.lower(), identifier)


def is_covered(expression: str, families: Set[str]) -> bool:
    """Whether licences in hand cover an expression: of an `OR` any, of an `AND` all, of a `WITH` the licence,
    because an exception only adds permissions. `families` are in small letters, without `-only` and
    `-or-later`.
    """
    parsed = parse(expression)
    return False if parsed is None else _covered(parsed, families)


def _covered(parsed: Any, families: Set[str]) -> bool:
    if operator := getattr(parsed, "operator", ""):
        choose = any if operator == " OR " else all
        return choose(_covered(part, families) for part in parsed.args)
    name = str(getattr(parsed, "license_symbol", parsed)).lower()
    return re.sub(r"-(only|or-later)$|\+$", "", name) in families


def is_non_commercial(identifier: str) -> bool:
    """Whether a licence, or each alternative of an expression, forbids commercial use, by its
    identifiers.
    """
    parsed = parse(identifier)
    return bool(_NON_COMMERCIAL.search(identifier)) if parsed is None else _forbids(parsed)


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> LicenceText:
    """The text of a licence file, at most `limit` bytes, not empty: UTF-8, UTF-16 by its byte order mark, or
    else Latin-1, as old licence files are. Never raises for what a candidate can do.
    """
    try:
        if not path.is_file():  # neither a folder nor a pipe that would block
            return LicenceText("", (f"{path.name} is no file",))
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        return LicenceText("", (f"{path.name} can't be read: {getattr(error, 'strerror', None) or error}",))
    if len(data) > limit:
        return LicenceText("", (f"{path.name} is over {limit} bytes, which is no licence text",))
    text = _decoded(data)
    if not text.strip() or "\0" in text:
        return LicenceText("", (f"{path.name} is {'no text' if text.strip() else 'empty'}",))
    return LicenceText(text.replace("\r\n", "\n"), ())


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            # Undecodable bytes become U+FFFD, which is in no word of a licence.
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _forbids(parsed: Any) -> bool:
    """`A OR B` may be sold if either may, `A AND B` only if both may."""
    if getattr(parsed, "operator", "") == " OR ":
        return all(map(_forbids, parsed.args))
    if getattr(parsed, "operator", "") == " AND ":
        return any(map(_forbids, parsed.args))
    return bool(_NON_COMMERCIAL.search(str(parsed)))


@cache
def _known() -> tuple[dict[str, str], dict[str, str]]:
    """Licences and exceptions of the SPDX lists, deprecated ones too: lower case -> as SPDX spells it."""
    licences = {identifier.lower(): identifier for identifier in RAIL_IDS}
    exceptions: dict[str, str] = {}
    for row in get_license_index():
        table = exceptions if row.get("is_exception") else licences
        deprecated = filter(_DEPRECATED.fullmatch, row.get("other_spdx_license_keys", ()))
        for identifier in (row.get("spdx_license_key") or "", *deprecated):
            if identifier and not identifier.startswith("LicenseRef-"):
                table[identifier.lower()] = identifier
    return licences, exceptions
