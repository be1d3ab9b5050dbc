"""Checks a whole package: sources and scripts by their code, every other file by its bytes.

Archives are unpacked within bounds. A finding names each archive that can't be unpacked.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from certify.instruments.files import magic
from certify.instruments.files.unpacking import UNREADABLE, unpack
from certify.instruments.findings import Finding
from certify.text import safe

from . import check_source, javascript
from .rules import RULES
from .source import MAX_SOURCE_BYTES, Source, parse_source

MAX_MEMBERS = 2000
MAX_UNPACKED = 64 << 20  # of an archive
MAX_NESTED = 2
_HEAD, _TAIL = 4096, 70_000

_SOURCES = (".py", ".pyw")
_SEEN_DOTS = re.compile(
    r"\.(git(hub|ignore|attributes|keep|modules|lab-ci\.yml)|editorconfig|pre-commit-config\.yaml|flake8|pylintrc|keep"
    r"|(docker|comfy|certify|npm|prettier|eslint)ignore|coveragerc|python-version|readthedocs\.ya?ml|ruff\.toml|isort\.cfg"
    r"|prettierrc(\.\w+)?|eslintrc(\.\w+)?|markdownlint\.\w+|tool-versions|well-known|nojekyll|env\.example|mypy\.ini|clang-format"
    r"|circleci|travis\.yml|codecov\.ya?ml|yamllint(\.ya?ml)?|nvmrc|reuse|mailmap|git-blame-ignore-revs|bumpversion\.(cfg|toml)"
    r"|codespellrc|stylelintrc(\.\w+)?|browserslistrc|babelrc|devcontainer|cspell\.json|zenodo\.json|hgignore)"
)
_START_UPS = ("sitecustomize.py", "usercustomize.py")
_IMPORT_LINE = re.compile(rb"^import[ \t]", re.M)
_PLAIN = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".ico",
    ".bmp",
    ".txt",
    ".md",
    ".json",
    ".csv",
    ".ttf",
    ".svg",
    ".py",
)
# Formats of documents and weights that are zip archives by design; weights have rules of their own.
_ZIPS_BY_DESIGN = (
    ".npz",
    ".pt",
    ".pth",
    ".ckpt",
    ".bin",
    ".keras",
    ".docx",
    ".odt",
    ".kra",
    ".ora",
    ".xlsx",
    ".pptx",
)


@dataclass(frozen=True)
class Declarations:
    """The manifest's declarations: hosts in lower case without ports, and native files with their SHA-256."""

    hosts: Set[str] = frozenset()
    native: Mapping[str, str] = field(default_factory=dict)


def check_package(
    root: Path, files: Mapping[str, str], declared: Declarations = Declarations()
) -> list[Finding]:
    """All findings of the code rules in a package; `files` maps paths below `root` to their SHA-256."""
    findings: list[Finding] = []
    for path, sha256 in files.items():
        try:
            findings += _file(root / path, path, sha256, declared)
        except (OSError, ValueError) as error:
            findings.append(_finding(path, "not-reviewable", safe(str(error))))
    return sorted(set(findings))


def _file(place: Path, path: str, sha256: str, declared: Declarations) -> Iterator[Finding]:
    if not stat.S_ISREG(place.stat().st_mode):
        yield _finding(path, "not-reviewable", "not a regular file")
        return
    with place.open("rb") as stream:
        head = stream.read(_HEAD)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    yield from _name(path)
    if what := magic.program(head):
        yield from _native(path, what, sha256, declared)
    elif path in declared.native:
        yield _finding(path, "native-changed", "it is not a native binary")
    if _is_text(path):
        with place.open("rb") as stream:
            yield from _text(path, stream.read(_limit(path) + 1), declared)
    yield from _archive(place, path, head, tail, declared)


def _native(path: str, what: str, sha256: str, declared: Declarations) -> Iterator[Finding]:
    if path not in declared.native:
        yield _finding(path, "native-undeclared", what)
    elif declared.native[path] != sha256:
        yield _finding(path, "native-changed", f"its SHA-256 is {sha256}")
    else:
        yield _finding(path, "native-declared", what)


def _name(path: str) -> Iterator[Finding]:
    parts = PurePosixPath(path).parts
    hidden = next((part for part in parts if part.startswith(".") and not _SEEN_DOTS.fullmatch(part)), "")
    if hidden:
        yield _finding(path, "hidden-file", f'"{safe(hidden)}"')
    if len(parts) == 1 and path in _START_UPS:
        yield _finding(path, "start-up-file", path)


def _is_text(path: str) -> bool:
    return path.lower().endswith((*_SOURCES, ".pth", *javascript.SUFFIXES))


def _limit(path: str) -> int:
    return javascript.MAX_SCRIPT if path.lower().endswith(javascript.SUFFIXES) else MAX_SOURCE_BYTES


def _text(path: str, data: bytes, declared: Declarations) -> Iterator[Finding]:
    """Python, a browser script, or a `.pth` file, whose import lines run when Python starts."""
    name = path.lower()
    if name.endswith(".pth"):
        if b"\0" not in data[:4096] and len(data) < 1 << 16 and (line := _IMPORT_LINE.search(data)):
            shown = safe(data[line.start() :].split(b"\n")[0].decode("utf-8", "replace"))
            yield _finding(path, "start-up-file", shown)
        return
    if len(data) > _limit(path):
        yield _finding(path, "not-reviewable", f"it has over {_limit(path)} bytes")
    elif name.endswith(_SOURCES):
        source = parse_source(data, path)
        if isinstance(source, Source):
            yield from check_source(source, declared.hosts)
        else:
            yield replace(_finding(path, "not-parsed", safe(source.message)), line=source.line)
    else:
        yield from javascript.check_script(data.decode("utf-8", "replace"), path, declared.hosts)


def _archive(place: Path, path: str, head: bytes, tail: bytes, declared: Declarations) -> Iterator[Finding]:
    """An archive in the package, or one appended to a file of another format."""
    kind = magic.archive(head)
    if path.lower().endswith(_ZIPS_BY_DESIGN):
        return
    if not kind and b"PK\x05\x06" in tail and zipfile.is_zipfile(place):
        yield _finding(path, "disguised-file", "an archive is appended to this file")
        kind = "zip"
    elif kind and path.lower().endswith(_PLAIN):
        yield _finding(path, "disguised-file", f"this is {_article(kind)} archive by its bytes")
    if kind:
        with place.open("rb") as stream:
            yield from _inside(path, kind, stream.read(MAX_UNPACKED + 1), declared, MAX_NESTED)


def _article(kind: str) -> str:
    return f"a {kind}" if kind[0] not in "aeiou" else f"an {kind}"


def _inside(path: str, kind: str, data: bytes, declared: Declarations, nested: int) -> Iterator[Finding]:
    if len(data) > MAX_UNPACKED or nested == 0:
        yield _finding(path, "archive-not-scanned", f"{_article(kind)} archive of this size or depth")
        return
    try:
        members = list(_members(kind, data))
    except UNREADABLE as error:
        members, why = [], safe(str(error), 80) or type(error).__name__
        yield _finding(path, "archive-not-scanned", f"{_article(kind)} archive ({why})")
    coded = ""
    for name, content in members:
        inner = f"{path}!/{safe(name, 120)}"
        if what := magic.program(content[:_HEAD]):
            coded = coded or name
            yield _finding(inner, "native-undeclared", what)
        if _is_text(name):
            coded = coded or name
            yield from _text(inner, content, declared)
        if deeper := magic.archive(content):
            yield from _inside(inner, deeper, content, declared, nested - 1)
    if coded:
        yield _finding(path, "archive-with-code", safe(coded, 80))


def _members(kind: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files in an archive; raises if it can't be read completely within the bounds."""
    room = MAX_UNPACKED
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for info in packed.infolist():
                if info.flag_bits & 1:
                    raise ValueError("it is encrypted")
                with packed.open(info) as stream:
                    content = stream.read(room + 1)
                room = _left(room, content)
                yield info.filename, content
    elif kind == "tar":
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as bundle:
            for member in bundle:
                packed_file = bundle.extractfile(member) if member.isreg() else None
                content = packed_file.read(room + 1) if packed_file else b""
                room = _left(room, content)
                yield member.name, content
    else:
        yield "its content", unpack(kind, data, MAX_UNPACKED)


def _left(room: int, content: bytes) -> int:
    if len(content) > room - 512:
        raise ValueError("it unpacks to too many bytes")
    return room - len(content) - 512  # so that the number of empty members is bounded too


def _finding(path: str, rule: str, what: str) -> Finding:
    row = RULES[rule]
    return Finding(path, 0, rule, row.says.format(what=what), row.band, "", row.fix)


def hosts_of(addresses: Iterable[str]) -> frozenset[str]:
    """The hosts of a manifest's entries (`cdn.example.org:8443`, or a URL), as `Declarations` needs them."""
    return frozenset(
        address.rpartition("://")[2].partition("/")[0].partition(":")[0].lower() for address in addresses
    )
