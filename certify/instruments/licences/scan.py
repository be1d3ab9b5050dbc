"""Licences in a file tree: texts, SPDX tags in sources, and the front matter of model cards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .identifiers import check_expression, read_text
from .model_card import Card, read_card
from .texts import identified

SURE = 0.98
_LICENCE_NAME = re.compile(
    r"(?:un)?licen[cs]e|copying|copyright|notice|third[-_ ]?part(?:y|ies)|eula|terms", re.IGNORECASE
)
_WITH_A_NAME = re.compile(r"(?:LICEN[CS]E|COPYING)\.[A-Z][A-Z0-9-]*")  # LICENSE.APACHE, COPYING.LESSER
_TEXT_SUFFIXES = ("", ".txt", ".md", ".rst", ".license", ".licence", ".html")
_SOURCES = (
    ".py",
    ".pyi",
    ".toml",
    ".js",
    ".ts",
    ".css",
    ".sh",
    ".c",
    ".h",
    ".cc",
    ".cpp",
    ".cu",
    ".rs",
    ".yaml",
    ".yml",
)
_TAG = re.compile(rb"SPDX-License-Identifier:[ \t]*([^\r\n]{1,200})")
_TAIL = re.compile(r"\s*(?:\*/|-->|\"|').*$")
_TAG_LINES = 4096  # bytes; REUSE asks for the tag in the header of a file


@dataclass(frozen=True)
class FileLicence:
    """A licence that a file names or holds: `licences` are those with a similar text (best first), or the
    expression of its tag; `score` is 1 for a tag.
    """

    file: str
    licences: tuple[str, ...]
    score: float
    how: str  # "text" or "tag"


def is_licence_name(file: str) -> bool:
    path = PurePosixPath(file)
    in_folder = path.parent.name.lower() in ("licenses", "licences")
    if path.suffix.lower() in _TEXT_SUFFIXES:
        return bool(_LICENCE_NAME.match(path.name)) or in_folder
    return bool(_WITH_A_NAME.fullmatch(path.name))


def scan(root: Path, files: Iterable[str]) -> list[FileLicence]:
    """Every licence text and tag below `root`; a file with neither is left out."""
    licences = []
    for file in files:
        if is_licence_name(file):
            best = identified(read_text(root / file).text)
            if best:
                ties = tuple(name for name, score in best if score == best[0][1])
                licences.append(FileLicence(file, ties, best[0][1], "text"))
        elif file.lower().endswith(_SOURCES):
            expression = _tag_of(root / file)
            if expression:
                licences.append(FileLicence(file, (expression,), 1.0, "tag"))
    return licences


def cards(root: Path, files: Iterable[str]) -> dict[str, Card]:
    """The model cards below `root`: README.md with front matter."""
    by_file = {}
    for file in files:
        if PurePosixPath(file).name.lower() == "readme.md":
            card = read_card(read_text(root / file).text)
            if card is not None:
                by_file[file] = card
    return by_file


def _tag_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            tag = _TAG.search(stream.read(_TAG_LINES))
    except OSError:
        return ""
    expression = _TAIL.sub("", tag[1].decode("utf-8", "replace")).strip() if tag else ""
    # A string in a program that writes tags is not a licence.
    return expression if expression and not check_expression(expression) else ""
