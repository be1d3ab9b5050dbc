"""Is a licence file the declared licence? Its words are compared with SPDX's template.

A template has required words, optional words, and holes for any text (a year, a name, a list bullet). There
are three results: the text is the licence (`matches`), it differs by a typo (`near`, for a person to review),
or it was changed (`differs`).
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from .alignment import RUN, aligned
from .words import shingles, words_of

NEAR_WORDS = 12
NEAR_SCORE = 0.98
KNOWN_SCORE = 0.8
_LIKELY = 6
_AROUND = 5  # words quoted on each side of a change
_DATA = Path(__file__).parent.parent / "data" / "spdx.json.xz"

# List numbering: never words of a licence by themselves (SPDX 2.3, annex B.7).
_BULLET = re.compile(r"\d{1,2}|[a-z]|i{1,3}|i[vx]|vi{0,3}")
# Any of these can reverse the meaning of a sentence.
_WEIGHTY = re.compile(
    r"not?|non.*|never|only|may|must|shall|except|unless|without|commercial.*|sell|sale|free|fee|research|"
    r"restrict.*|prohibit.*|forbid.*|warrant.*|patent.*|any|all|use|users?|military|personal"
)
# These may not be in a hole for a name or a phrase.
_TURNING = re.compile(r"not|never|only|except|unless")
_CHOICE = 16  # words; a larger hole holds whole sentences
# Terms that are added to a licence; `(?<!...)` spares "commercial or non-commercial".
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
# Creative Commons allows a work to name its licence by URL (CC-BY-4.0, section 3.a.1.C).
_CC_ADDRESS = re.compile(
    r"creativecommons\.org/(?:licenses/([a-z-]+)/(\d\.\d)|publicdomain/(zero)/1\.0)", re.IGNORECASE
)
_SHORT_NOTICE = 400  # words; a longer text around a URL is a text of its own

State = Literal["matches", "near", "differs", "not-checkable"]


@dataclass(frozen=True)
class Template:
    """`words` in their order; `required[i]` is false if word i is optional; `holes` maps a position to
    the number of words that are allowed before it.
    """

    words: tuple[str, ...]
    required: tuple[bool, ...]
    holes: dict[int, int] = field(repr=False)


@dataclass(frozen=True)
class TextMatch:
    """`score` (0 to 1) is the smaller of two shares: of the licence's words that are present, and of the
    present words that are the licence's. `missing` and `foreign` quote the differences, longest first;
    `quotes` show each change in context, changes of meaning first.
    """

    state: State
    score: float
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


@lru_cache(maxsize=512)
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
        quotes = tuple(f"[added: {phrase}]" for phrase in added)
        return TextMatch("differs" if added else "matches", 1.0, (), added, quotes)
    match = best_match(template(key), words)
    if not added:
        return match
    quotes = tuple(_around(words, phrase) for phrase in added)
    foreign = (*added, *match.foreign)
    return TextMatch("differs", match.score, match.missing, foreign, (*quotes, *match.quotes))


@lru_cache(maxsize=512)
def identified(text: str) -> tuple[tuple[str, float], ...]:
    """The licences that this text is, or was made from, best first, with their scores (at least 0.8)."""
    words = words_of(text)
    addresses = _addresses(text) if len(words) <= _SHORT_NOTICE else set()
    if len(addresses) == 1 and (key := _key(next(iter(addresses)))):
        return ((key, 1.0),)
    runs = shingles(words)
    shares = [
        (sum(run in runs for run in row["sketch"]) / max(len(row["sketch"]), 1), key)
        for key, row in _rows().items()
    ]
    likely = [key for share, key in sorted(shares, reverse=True)[:_LIKELY] if share > 0.25]
    scored = [(key, best_match(template(key), words).score) for key in likely]
    known = (row for row in scored if row[1] >= KNOWN_SCORE)
    return tuple(sorted(known, key=lambda row: (-row[1], row[0])))


def family(identifier: str) -> str:
    """The licence without `-only`, `-or-later` and `+`, which have the same text."""
    return re.sub(r"-(only|or-later)$|\+$", "", identifier.strip(), flags=re.IGNORECASE)


def is_checkable(identifier: str) -> bool:
    return _key(identifier) is not None


@cache
def template(key: str) -> Template:
    """Raises KeyError for a key that has none."""
    return read_template(_rows()[key]["template"])


def read_template(text: str) -> Template:
    """Parses words, `{` and `}` around optional words, and `*9` for up to nine words of any kind."""
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


def best_match(model: Template, words: Sequence[str]) -> TextMatch:
    """The best match in a text. A text with the same licence twice, for two authors, is read in parts."""
    whole = compare(model, words)
    begins = _begins(model, words) if whole.state == "differs" else []
    if len(begins) < 2:
        return whole
    parts = pairwise([0, *begins[1:], len(words)])
    matches = [whole, *(compare(model, words[begin:end]) for begin, end in parts)]
    return max(matches, key=lambda match: (match.state == "matches", match.score))


def _begins(model: Template, words: Sequence[str]) -> list[int]:
    """The positions of the first run of required words in a text."""
    places = range(len(model.words) - RUN + 1)
    whole = (at for at in places if all(model.required[at : at + RUN]) and not _holed(model, at))
    at = next(whole, None)
    if at is None:
        return []
    run = model.words[at : at + RUN]
    starts = (place for place, word in enumerate(words) if word == run[0])
    return [place for place in starts if tuple(words[place : place + RUN]) == run][:20]


def _holed(model: Template, at: int) -> bool:
    return any(place in model.holes for place in range(at + 1, at + RUN))


def compare(model: Template, words: Sequence[str]) -> TextMatch:
    """How far `words` are the template's, from the first match to the last; text around them is allowed."""
    pairs = aligned(model.words, words)
    runs = _in_runs(pairs)
    if not runs:
        whole = _quote(model.words)
        return TextMatch("differs", 0.0, (whole,), (), (f"[missing: {whole}]",))
    first, last = _reaching(model, pairs, runs)
    pairs = [pair for pair in pairs if first <= pair[1] <= last]
    changes = list(_changes(model, pairs, words))
    lost = sum(len(change.missing) for change in changes)
    extra = sum(len(change.foreign) for change in changes)
    inside = pairs[-1][1] - pairs[0][1] + 1
    score = max(0.0, min(1 - lost / max(sum(model.required), 1), 1 - extra / inside))
    slips = lost + extra <= NEAR_WORDS and all(map(_is_slip, changes))
    state: State = "matches" if not changes else "near" if slips and score >= NEAR_SCORE else "differs"
    missing = tuple(_quote(part) for part in _longest(change.missing for change in changes))
    foreign = tuple(_quote(part) for part in _longest(change.foreign for change in changes))
    order = sorted(changes, key=lambda change: (_is_slip(change), -len(change.missing + change.foreign)))
    return TextMatch(state, score, missing, foreign, tuple(map(str, order[:5])))


def _reaching(model: Template, pairs: list[tuple[int, int]], runs: list[tuple[int, int]]) -> tuple[int, int]:
    """Where the licence begins and ends in a text: at its first and last run, or further out if required
    words are missing and are close by, as around a word inserted into its first sentence.
    """
    ends = []
    for order, start in ((pairs[::-1], runs[0]), (pairs, runs[-1])):
        at = order.index(start)
        outer = model.required[: start[0]] if start is runs[0] else model.required[start[0] + 1 :]
        for pair in order[at + 1 :] if any(outer) else ():
            if max(abs(pair[0] - start[0]), abs(pair[1] - start[1])) > RUN:
                break
            start = pair
        ends.append(start[1])
    return ends[0], ends[1]


@dataclass(frozen=True)
class _Change:
    """Missing words of the licence, foreign words in their place, and the words of the text on both
    sides.
    """

    missing: tuple[str, ...]
    foreign: tuple[str, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{what}: {_quote(some)}" for what, some in self._parts if some]
        return " ".join([*self.before, f"[{', '.join(parts)}]", *self.after])

    @property
    def _parts(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("missing", self.missing), ("added", self.foreign)


def _changes(model: Template, pairs: list[tuple[int, int]], words: Sequence[str]) -> Iterator[_Change]:
    """The differences between matching words, and missing words before the first and after the last."""
    ends = [(-1, pairs[0][1] - 1), *pairs, (len(model.words), pairs[-1][1] + 1)]
    for (left, right), (next_left, next_right) in pairwise(ends):
        between = range(left + 1, next_left)
        missing = tuple(model.words[at] for at in between if model.required[at])
        foreign = tuple(words[right + 1 : next_right])
        room = sum(model.holes.get(at, 0) for at in range(left + 1, next_left + 1))
        # Inside an optional part, such as a notice form, any text is allowed.
        around = [at for at in (left, next_left) if 0 <= at < len(model.words)]
        optional = len(around) == 2 and not any(model.required[at] for at in around)
        turned = room <= _CHOICE and any(map(_TURNING.fullmatch, foreign))
        if (len(foreign) <= room and not turned) or (room and "copyright" in foreign) or optional:
            foreign = ()
        missing, foreign = _without_bullets(missing), _without_bullets(foreign)
        if missing or foreign:
            before = words[max(pairs[0][1], right + 1 - _AROUND) : right + 1]
            after = words[next_right : min(next_right + _AROUND, pairs[-1][1] + 1)]
            yield _Change(missing, foreign, tuple(before), tuple(after))


def _without_bullets(words: tuple[str, ...]) -> tuple[str, ...]:
    return () if all(map(_BULLET.fullmatch, words)) else words


def _is_slip(change: _Change) -> bool:
    """Whether words are spelt similarly and keep the meaning. An added or missing word is not a slip."""
    if any(map(_WEIGHTY.fullmatch, change.missing + change.foreign)):
        return False
    alike = zip(change.missing, change.foreign, strict=False)
    ratios = (SequenceMatcher(None, *pair).ratio() for pair in alike)
    return len(change.missing) == len(change.foreign) and all(ratio > 0.6 for ratio in ratios)


def _in_runs(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first and the last pair in a run of four: the start and the end of the licence."""
    ends = []
    for order in (pairs, pairs[::-1]):
        for at in range(len(order) - RUN + 1):
            (left, right), (last_left, last_right) = order[at], order[at + RUN - 1]
            if abs(last_left - left) == abs(last_right - right) == RUN - 1:
                ends.append(order[at])
                break
    return ends


def _additions(words: list[str], key: str) -> tuple[str, ...]:
    """Restrictions that are more frequent in the text than in the licence itself."""
    text, own = " ".join(words), " ".join(template(key).words)
    hits = ((list(pattern.finditer(text)), len(pattern.findall(own))) for pattern in _ADDITIONS)
    return tuple(matches[-1].group() for matches, known in hits if len(matches) > known)


def _around(words: Sequence[str], phrase: str) -> str:
    """The last occurrence of a phrase in a text, with the words on both sides."""
    wanted = phrase.split()
    places = range(len(words) - len(wanted), -1, -1)
    at = next((at for at in places if list(words[at : at + len(wanted)]) == wanted), -1)
    if at < 0:
        return f"[added: {phrase}]"
    end = at + len(wanted)
    return str(
        _Change((), tuple(wanted), tuple(words[max(0, at - _AROUND) : at]), tuple(words[end : end + _AROUND]))
    )


def _longest(parts: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    return sorted(filter(None, parts), key=len, reverse=True)[:5]


def _quote(words: Sequence[str]) -> str:
    return " ".join(words[:14]) + (f" ... ({len(words)} words)" if len(words) > 14 else "")


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
