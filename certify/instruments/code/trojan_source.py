"""Sources that do not run as they read: lookalike letters, invisible characters, and bidirectional controls.

Boucher and Anderson, "Trojan Source: Invisible Vulnerabilities" (2021); Unicode TR 36 and TR 39; PEP 672.
"""

from __future__ import annotations

import builtins
import io
import keyword
import re
import tokenize
import unicodedata
from collections.abc import Iterator

from certify.instruments.findings import Finding

from .source_view import View

_OPENS, _CLOSES = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068", "\u202c\u2069"
_OVERRIDES = "\u202d\u202e"
_BIDI = re.compile(f"[{_OPENS}{_CLOSES}]")
# Zero-width characters, tags, variation selectors: a few occur in emoji and scripts, a long run is a message.
_UNSEEN = re.compile(
    "[\u200b-\u200d\u2060-\u2064\u00ad\u180e\ufe00-\ufe0f\U000e0000-\U000e007f\U000e0100-\U000e01ef]{8,}"
)
_MESSAGE = 32
_BLANK_LETTERS = "\u3164\u115f\u1160\uffa0\u17b4\u17b5"
_LOOKALIKES = dict(
    zip(
        "\u0430\u0435\u0456\u0458\u043e\u0440\u0441\u0443\u0445\u0455\u04bb\u0501\u051b\u051d\u03bf\u04cf",
        "aeijopcyxshdqwol",
        strict=True,
    )
)
_SCRIPTS = ("CYRILLIC", "ARMENIAN", "CHEROKEE")
_NAMES = frozenset([*dir(builtins), *keyword.kwlist, "os", "sys", "subprocess", "system", "popen"])
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_ODD = re.compile(
    r"utf[-_]?7|(raw[-_])?unicode[-_]escape|rot[-_]?13|punycode|idna|hex|base64|uu|zlib|bz2|mbcs|string[-_]escape"
)


def check(view: View) -> Iterator[Finding]:
    text = view.source.text
    lines = text.split("\n")
    for number, line in enumerate(lines[:2], 1):
        if (cookie := _COOKIE.match(line)) and _ODD.fullmatch(cookie.group(1).lower()):
            yield view.finding("odd-encoding", number, cookie.group(1))
    if text.isascii():
        return
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            yield from _line(view, number, line)
    yield from _identifiers(view, text)


def _line(view: View, number: int, line: str) -> Iterator[Finding]:
    if match := _BIDI.search(line):
        what = f"U+{ord(match.group()):04X} ({unicodedata.name(match.group()).lower()})"
        sound = _is_balanced(line) and not any(mark in line for mark in _OVERRIDES)
        yield view.finding("bidi-pair" if sound else "bidi-control", number, what)
    if unseen := _UNSEEN.search(line):
        longest = max(len(run) for run in _UNSEEN.findall(line))
        what = f"{longest} invisible characters in a row"
        rule = "hidden-program" if longest >= _MESSAGE else "invisible-character"
        yield view.finding(rule, number, what if unseen else "")


def _is_balanced(line: str) -> bool:
    """Whether each directional control is closed by its own terminator, on the same line."""
    stack: list[str] = []
    for mark in _BIDI.findall(line):
        if mark in _OPENS:
            stack.append("\u2069" if mark in "\u2066\u2067\u2068" else "\u202c")
        elif not stack or stack.pop() != mark:
            return False
    return not stack


def _identifiers(view: View, text: str) -> Iterator[Finding]:
    seen: set[str] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and not token.string.isascii() and token.string not in seen:
                seen.add(token.string)
                yield from _identifier(view, token.string, token.start[0])
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return  # the parser reports this


def _identifier(view: View, name: str, line: int) -> Iterator[Finding]:
    plain = unicodedata.normalize("NFKC", name)
    if any(letter in name for letter in _BLANK_LETTERS):
        yield view.finding("hidden-letter", line, "an invisible letter")
    elif plain.isascii():
        rule = "hidden-letter" if plain in _NAMES else "disguised-name"
        yield view.finding(rule, line, f'letters in another shape, for "{plain}"')
    elif any(map(_is_mixed, plain.split("_"))):
        yield view.finding("hidden-letter", line, "letters of two alphabets that look alike")
    else:
        skeleton = "".join(_LOOKALIKES.get(letter, letter) for letter in plain)
        if skeleton.isascii() and (skeleton in _NAMES or skeleton in view.source.names):
            yield view.finding(
                "hidden-letter", line, f'letters of another alphabet that look like "{skeleton}"'
            )


def _is_mixed(part: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in part if letter.isalpha()}
    omicron = "\u03bf" in part  # the Greek letter that formulas do not use
    return "LATIN" in scripts and (omicron or not scripts.isdisjoint(_SCRIPTS))
