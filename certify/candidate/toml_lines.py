"""TOML with line numbers: the line of each value, for messages with file and line."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Path = tuple[str | int, ...]

# TOML parsers keep every prefix of a dotted key: a key of 100,000 parts takes tens of gigabytes.
MAX_DOTS = 200

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r""""(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+""")
_VALUE = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\[\]{},#\n"']+''', re.DOTALL
)
_AT = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


class NotToml(Exception):
    """The text is not TOML: `message` says why, `line` (from 1) where."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Lines:
    """The line (from 1) of every table, key and array element, by its path: `("loras", 0, "sha256")`."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines

    def of(self, path: Path) -> int:
        """The line of `path`, or of the nearest table around it where the text doesn't have it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def parse(text: str) -> tuple[dict[str, Any], Lines]:
    """The content of a TOML text and its line index.

    Raises NotToml, also for texts that are nested or dotted too deeply to be written by hand.
    """
    text = text.replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DOTS:
            raise NotToml(f"the line has more than {MAX_DOTS} dots", number)
    try:
        return tomllib.loads(text), Lines(_Index(text).lines)
    except RecursionError:
        raise NotToml("arrays or tables are nested too deep", 1) from None
    except ValueError as error:  # TOMLDecodeError, and numbers too long for Python
        message = str(error)
        at = _AT.search(message)
        last = text.rstrip().count("\n") + 1
        raise NotToml(_AT.sub("", message), int(at[1] or last) if at else 1) from None


class _Index:
    """Walks a text already known to be valid TOML, so it only has to separate the parts."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line, self._counted = 1, 0
        self._elements: dict[Path, int] = {}  # how many elements an array of tables has so far
        table: Path = ()
        while self._skip(_BLANK) < len(text):
            if text.startswith("[[", self._at):
                table = self._header(2)
            elif text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()
        return self._at

    def _note(self, path: Path) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        self.lines.setdefault(path, self._line)

    def _header(self, brackets: int) -> Path:
        self._at += brackets
        path = self._keys((), array=brackets == 2)
        self._at += brackets
        return path

    def _keys(self, path: Path, array: bool = False) -> Path:
        """Reads a dotted key, into the last element of every array of tables on the way."""
        while True:
            self._skip(_SPACE)
            raw = _KEY.match(self._text, self._at)
            if raw is None:
                raise NotToml("a key is missing", self._line)
            path += (_plain(raw[0]),)
            self._note(path)
            self._at = raw.end()
            self._skip(_SPACE)
            last = not self._text.startswith(".", self._at)
            if last and array:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path += (self._elements[path] - 1,)
                self._note(path)
            if last:
                return path
            self._at += 1

    def _pair(self, table: Path) -> None:
        path = self._keys(table)
        self._at += 1  # =
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if opening not in "[{":
            self._skip(_VALUE)
            return
        closing = "]" if opening == "[" else "}"
        self._at += 1
        index = 0
        while self._text[self._skip(_BLANK)] != closing:
            if opening == "{":
                self._pair(path)
            else:
                self._note((*path, index))
                self._value((*path, index))
            index += 1
            if self._text[self._skip(_BLANK)] == ",":
                self._at += 1
        self._at += 1


def _plain(key: str) -> str:
    return key if key[0] not in "\"'" else str(tomllib.loads(f"key = {key}")["key"])
