"""Is a licence file the licence that it is declared to be? Its words are laid beside SPDX's template.

A template has words that must be there, words that may be left out, and places where anything may stand (a
year, a name, the bullet of a list). What is told apart: a text that is the licence, one that differs by a
slip of the pen (`near`, for a person to look at), and one that was changed (`differs`).
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from .alignment import RUN, aligned
from .licence_words import shingles, words_of

NEAR_WORDS = 12
NEAR_SCORE = 0.98
KNOWN_SCORE = 0.8
_LIKELY = 6
_DATA = Path(__file__).parent / "data" / "spdx.json.xz"

# Numbering of lists: never the words of a licence by themselves (SPDX 2.3, annex B.7).
_BULLET = re.compile(r"\d{1,2}|[a-z]|i{1,3}|i[vx]|vi{0,3}")
# A single one of these turns a sentence round.
_WEIGHTY = re.compile(
    r"not?|non.*|never|only|may|must|shall|except|unless|without|commercial.*|sell|sale|free|fee|research|"
    r"restrict.*|prohibit.*|forbid.*|warrant.*|patent.*|any|all|use|users?|military|personal"
)
# Terms that are put on top of a licence; `(?<!...)` spares "commercial or non-commercial".
_ADDITIONS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\bcommons clause\b",
        r"(?<!commercial or )(?<!commercial and )\bnoncommercial\b(?! (?:or|and) commercial)",
        r"\b(?:may|must|shall) not (?:be )?(?:sell|sold|used commercially)\b",
        r"\bnot for (?:sale|commercial use)\b",
        r"\bno commercial use\b",
        r"\b(?:personal|research|academic|educational)(?: (?:or|and) \w+)? (?:use|purposes?) only\b",
        r"\bonly for (?:personal|research|academic|educational)\b",
        r"\bmay not be used (?:to train|by|for)\b",
    )
)
# Creative Commons lets a work name its licence by address (CC-BY-4.0, section 3.a.1.C).
_CC_ADDRESS = re.compile(
    r"creativecommons\.org/(?:licenses/([a-z-]+)/(\d\.\d)|publicdomain/(zero)/1\.0)", re.IGNORECASE
)
_SHORT_NOTICE = 400  # words; a longer text around an address is a text of its own

State = Literal["matches", "near", "differs", "not-checkable"]


@dataclass(frozen=True)
class Template:
    """`words` in their order; `required[i]` is false where word i may be left out; `holes` maps a position to
    how many words may stand before it.
    """

    words: tuple[str, ...]
    required: tuple[bool, ...]
    holes: dict[int, int] = field(repr=False)


@dataclass(frozen=True)
class TextMatch:
    """`score` (0 to 1) is the smaller of two shares: of the licence's words that are there, and of the words
    there that are the licence's. `missing` and `foreign` quote what differs, longest first.
    """

    state: State
    score: float
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def matches_text(identifier: str, text: str) -> TextMatch:
    """Whether `text` holds the licence `identifier` (SPDX, or a RAIL of the catalogue). An identifier without
    a template is `not-checkable`, never a match.

    A Creative Commons licence may be named by its address instead of given in full.
    """
    key = _key(identifier)
    if key is None:
        return TextMatch("not-checkable", 0.0)
    words = words_of(text)
    added = _additions(words, key)
    if len(words) <= _SHORT_NOTICE and key.startswith("CC") and _addresses(text) == {key}:
        return TextMatch("differs" if added else "matches", 1.0, (), added)
    match = compare(template(key), words)
    if added:
        return TextMatch("differs", match.score, match.missing, (*added, *match.foreign))
    return match


def identified(text: str) -> list[tuple[str, float]]:
    """The licences whose text this is or was, best first, with their scores (at least 0.8)."""
    words = words_of(text)
    addresses = _addresses(text) if len(words) <= _SHORT_NOTICE else set()
    if len(addresses) == 1 and (key := _key(next(iter(addresses)))):
        return [(key, 1.0)]
    runs = shingles(words)
    shares = [
        (sum(run in runs for run in row["sketch"]) / max(len(row["sketch"]), 1), key)
        for key, row in _rows().items()
    ]
    likely = [key for share, key in sorted(shares, reverse=True)[:_LIKELY] if share > 0.25]
    scored = [(key, compare(template(key), words).score) for key in likely]
    return sorted((row for row in scored if row[1] >= KNOWN_SCORE), key=lambda row: (-row[1], row[0]))


def family(identifier: str) -> str:
    """The licence without `-only`, `-or-later` and `+`, which no text can tell apart."""
    return re.sub(r"-(only|or-later)$|\+$", "", identifier.strip(), flags=re.IGNORECASE)


def is_checkable(identifier: str) -> bool:
    return _key(identifier) is not None


@cache
def template(key: str) -> Template:
    """Raises KeyError for a key that has none."""
    return read_template(_rows()[key]["template"])


def read_template(text: str) -> Template:
    """Words; `{` and `}` around what may be left out; `*9` where up to nine words of any kind may stand."""
    words: list[str] = []
    required: list[bool] = []
    holes: dict[int, int] = {}
    depth = 0
    for token in text.split():
        if token in "{}":
            depth += 1 if token == "{" else -1
        elif token[0] == "*":
            holes[len(words)] = holes.get(len(words), 0) + int(token[1:])
        else:
            words.append(token)
            required.append(depth == 0)
    return Template(tuple(words), tuple(required), holes)


def compare(model: Template, words: Sequence[str]) -> TextMatch:
    """How far `words` are the template's, from the first to the last that are; what stands around is free."""
    pairs = aligned(model.words, words)
    runs = _in_runs(pairs)
    if not runs:
        return TextMatch("differs", 0.0, (_quote(model.words),), ())
    pairs = [pair for pair in pairs if runs[0][1] <= pair[1] <= runs[-1][1]]
    found = {left for left, _ in pairs}
    lost = [at for at, must in enumerate(model.required) if must and at not in found]
    lost = [at for at in lost if not _BULLET.fullmatch(model.words[at])]
    extra = [words[begin:end] for begin, end in _foreign(model, pairs, words)]
    extra = [part for part in extra if not all(map(_BULLET.fullmatch, part))]
    must_count = sum(model.required)
    inside = pairs[-1][1] - pairs[0][1] + 1
    score = min(1 - len(lost) / must_count, 1 - sum(map(len, extra)) / inside) if must_count else 0.0
    missing = tuple(_quote([model.words[at] for at in part]) for part in _longest(_stretches(lost)))
    foreign = tuple(_quote(part) for part in _longest(extra))
    changed = [model.words[at] for at in lost] + [word for part in extra for word in part]
    return TextMatch(_state(changed, score), max(score, 0.0), missing, foreign)


def _state(changed: list[str], score: float) -> State:
    if not changed:
        return "matches"
    slip = len(changed) <= NEAR_WORDS and score >= NEAR_SCORE
    return "near" if slip and not any(map(_WEIGHTY.fullmatch, changed)) else "differs"


def _in_runs(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first and the last pair that stand in a run of four: where the licence begins and ends."""
    ends = []
    for order in (pairs, pairs[::-1]):
        for at in range(len(order) - RUN + 1):
            (left, right), (last_left, last_right) = order[at], order[at + RUN - 1]
            if abs(last_left - left) == abs(last_right - right) == RUN - 1:
                ends.append(order[at])
                break
    return ends


def _foreign(
    model: Template, pairs: list[tuple[int, int]], words: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """Stretches of the text, between its first and last word of the licence, that have no place in it."""
    for (left, right), (next_left, next_right) in pairwise(pairs):
        room = sum(room for at, room in model.holes.items() if left < at <= next_left)
        if next_right - right - 1 > room and not (room and "copyright" in words[right + 1 : next_right]):
            yield right + 1, next_right


def _additions(words: list[str], key: str) -> tuple[str, ...]:
    """Restrictions that the text has oftener than the licence itself."""
    text, own = " ".join(words), " ".join(template(key).words)
    found = ((list(pattern.finditer(text)), len(pattern.findall(own))) for pattern in _ADDITIONS)
    return tuple(matches[-1].group() for matches, known in found if len(matches) > known)


def _stretches(positions: list[int]) -> list[list[int]]:
    parts: list[list[int]] = []
    for position in positions:
        if parts and position == parts[-1][-1] + 1:
            parts[-1].append(position)
        else:
            parts.append([position])
    return parts


def _longest(parts: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return sorted(parts, key=len, reverse=True)[:5]


def _quote(words: Sequence[str]) -> str:
    return " ".join(words[:14]) + (" ..." if len(words) > 14 else "")


def _addresses(text: str) -> set[str]:
    return {
        "CC0-1.0" if zero else f"CC-{code.upper()}-{version}"
        for code, version, zero in _CC_ADDRESS.findall(text)
    }


def _key(identifier: str) -> str | None:
    wanted = identifier.strip().lower()
    return _lower().get(wanted) or _lower().get(family(wanted) + "-only") or _lower().get(family(wanted))


@cache
def _lower() -> dict[str, str]:
    return {key.lower(): key for key in _rows()}


@cache
def _rows() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(lzma.decompress(_DATA.read_bytes()))
    return table
