"""A plugin's dependencies, as its package declares them; nothing is resolved or fetched here.

Sources are `[project] dependencies` of pyproject.toml, setup.cfg, literal values in setup.py,
`requirements*.txt` with the files that they include, and `Requires-Dist` of a wheel's METADATA. Formats:
PEP 508, PEP 621, pip's requirements file format, setuptools' `[tool.setuptools.dynamic]`.
"""

from __future__ import annotations

import email
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from certify.instruments.findings import SUSPICIOUS, Finding

from .setup_script import Setup, read_setup_config, read_setup_script

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_FILE = 256 << 10
MAX_DEPTH = 8
_DATA = Path(__file__).parent.parent / "data" / "packages.json"
_REQUIREMENTS = re.compile(r"(?:^|/)requirements[\w.-]*\.txt$", re.IGNORECASE)
_METADATA = re.compile(r"(?:^|/)[^/]+\.dist-info/METADATA$")
_OPTION = re.compile(r"(-{1,2}[\w-]+)[ =]*(.*)")
_INDEXES = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host")
_INCLUDES = ("-r", "--requirement", "-c", "--constraint")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_HASH = re.compile(r"\s--hash[= ]\S+")


@dataclass(frozen=True)
class DeclaredDependency:
    """A declared dependency: normalised `name`, and the requirement as written (PEP 508)."""

    name: str
    requirement: Requirement
    file: str
    line: int

    def __str__(self) -> str:
        return str(self.requirement)


@dataclass(frozen=True)
class Dependencies:
    """The declared dependencies and the findings about their form; `files` are the files that were read."""

    declared: tuple[DeclaredDependency, ...]
    findings: tuple[Finding, ...]
    files: tuple[str, ...]


def read_dependencies(root: Path, files: Iterable[str]) -> Dependencies:
    """Everything that the package declares. Never raises for what a candidate can do.

    Rules of the findings: `invalid-requirement`, `unreadable`, `direct-url`, `local-path`, `foreign-index`;
    `dynamic` (band B) if only a build shows the value.
    """
    listed = sorted(files)
    reader = _Reader(root, frozenset(listed))
    for file in listed:
        if file == "pyproject.toml":
            reader.read_project(file)
        elif file == "setup.py":
            reader.read_script(file)
        elif file == "setup.cfg":
            reader.read_config(file)
        elif _METADATA.search(file):
            reader.read_metadata(file)
        elif _REQUIREMENTS.search(file) and file.count("/") <= 1:
            reader.read_requirements(file)
    reader.finish()
    return Dependencies(tuple(reader.declared), tuple(reader.findings), tuple(reader.seen))


def check_bounds(declared: Iterable[DeclaredDependency]) -> list[Finding]:
    """`unbounded` for each requirement that allows every later version."""
    return [
        Finding(row.file, row.line, "unbounded", f"{row} allows every later version", SUSPICIOUS)
        for row in declared
        if not row.requirement.url and not _has_upper_bound(row.requirement.specifier)
    ]


def check_names(declared: Iterable[DeclaredDependency]) -> list[Finding]:
    """`known-bad` for packages and releases that were reported as malicious, `lookalike` (band B) for a name
    one typo away from a well-known name.
    """
    findings = []
    for row in declared:
        why = known_bad(row.name, row.requirement.specifier)
        near = "" if why else lookalike(row.name)
        if why:
            findings.append(Finding(row.file, row.line, "known-bad", f"{row}: {why}"))
        elif near:
            message = f"{row.name} is one typo away from {near}"
            findings.append(Finding(row.file, row.line, "lookalike", message, SUSPICIOUS))
    return findings


def known_bad(name: str, specifier: SpecifierSet, version: str = "") -> str:
    """Why a package must not be used, or an empty string. If only some releases are bad, an exact pin to a
    bad release counts, or the resolved `version`.
    """
    row = _lists()["bad"].get(canonicalize_name(name))
    if row is None:
        return ""
    if not row["versions"]:
        return str(row["why"])
    bad = {part.removeprefix("==") for part in row["versions"].split(",")}
    pinned = {spec.version for spec in specifier if spec.operator in ("==", "===")} | {version}
    return str(row["why"]) if bad & pinned else ""


def lookalike(name: str) -> str:
    """The well-known package that is one typo away from a name: a letter added, removed, changed, or two
    swapped, or a similar digit or hyphen.
    """
    plain = canonicalize_name(name)
    popular: list[str] = _lists()["popular"]
    if plain in _known():
        return ""
    squeezed = _squeezed(plain)
    for other in popular:
        if squeezed == _squeezed(other):
            return other
        if len(other) >= 5 and abs(len(other) - len(plain)) <= 1 and _one_slip(plain, other):
            return other
    return ""


@cache
def _known() -> frozenset[str]:
    return frozenset(_lists()["popular"])


@cache
def _lists() -> dict[str, Any]:
    lists: dict[str, Any] = json.loads(_DATA.read_text("utf-8"))
    return lists


def _squeezed(name: str) -> str:
    return name.replace("-", "").translate(str.maketrans("01", "ol"))


def _one_slip(name: str, other: str) -> bool:
    """Whether the Damerau-Levenshtein distance is 1. A digit added or removed at the end is another version
    of the same name.
    """
    start = next((at for at, pair in enumerate(zip(name, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        more = name[len(other) :] or other[len(name) :]
        return bool(more) and not more.isdigit()
    left, right = name[start:], other[start:]
    if left[1:] == right[1:] or left[1:] == right or left == right[1:]:
        return not (left[:1].isdigit() and right[:1].isdigit())
    return left[:2] == right[1::-1] and left[2:] == right[2:]


def _has_upper_bound(specifier: SpecifierSet) -> bool:
    return any(spec.operator in ("==", "===", "~=", "<", "<=") for spec in specifier)


class _Reader:
    """Reads the files in sequence, each once."""

    def __init__(self, root: Path, listed: frozenset[str]) -> None:
        self.declared: list[DeclaredDependency] = []
        self.findings: list[Finding] = []
        self.seen: list[str] = []
        self._root = root
        self._listed = listed
        self._delegated = ""

    def read_project(self, file: str) -> None:
        text = self._text(file)
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError):
            self._find(file, 0, "unreadable", "this is not TOML")
            return
        project = table.get("project", {})
        if not isinstance(project, dict):
            return
        rows = project.get("dependencies", [])
        optional = project.get("optional-dependencies", {})
        extras = optional.values() if isinstance(optional, dict) else ()
        for group in (rows, *extras):
            for row in group if isinstance(group, list) else ():
                self._add(file, _line_of(text, str(row)), str(row))
        if "dependencies" in (project.get("dynamic") or []):
            self._delegate(file, table)

    def _delegate(self, file: str, table: dict[str, Any]) -> None:
        """Delegates to the files that setuptools names, or else to the setup script."""
        try:
            named = table["tool"]["setuptools"]["dynamic"]["dependencies"]["file"]
        except (KeyError, TypeError):
            self._delegated = file
            return
        for name in [named] if isinstance(named, str) else named if isinstance(named, list) else []:
            self._include(file, 0, str(name), 0)

    def finish(self) -> None:
        """If pyproject.toml delegates dependencies to a setup script, it must declare them."""
        files = {row.file for row in self.declared} | {row.file for row in self.findings}
        if self._delegated and files.isdisjoint(("setup.py", "setup.cfg")):
            self._dynamic(self._delegated, 0, "dependencies are dynamic")

    def read_script(self, file: str) -> None:
        self._take(file, read_setup_script(self._text(file).encode("utf-8", "surrogatepass"), file))

    def read_config(self, file: str) -> None:
        self._take(file, read_setup_config(self._text(file)))

    def _take(self, file: str, setup: Setup) -> None:
        if setup.problem:
            self._find(file, 0, "unreadable", setup.problem)
        for row, line in setup.requirements:
            self._add(file, line, row)
        for link, line in setup.links:
            self._find(file, line, "foreign-index", f"packages from outside the index: {link[:120]}")
        for keyword, line in setup.computed:
            self._dynamic(file, line, f"{keyword} is computed")

    def _dynamic(self, file: str, line: int, what: str) -> None:
        self.findings.append(Finding(file, line, "dynamic", f"{what}: only a build shows them", SUSPICIOUS))

    def read_metadata(self, file: str) -> None:
        text = self._text(file)
        for row in email.message_from_string(text).get_all("Requires-Dist", []):
            self._add(file, _line_of(text, str(row)), str(row))

    def read_requirements(self, file: str, depth: int = 0) -> None:
        for number, line in _logical_lines(self._text(file)):
            option = _OPTION.match(line) if line.startswith("-") else None
            if option is None:
                self._add(file, number, line)
            elif option[1] in _INCLUDES:
                self._include(file, number, option[2], depth)
            elif option[1] in ("-e", "--editable"):
                if re.fullmatch(r"\.(?:\[[\w, -]*\])?", option[2].strip()):
                    continue  # the package itself, as developers install it
                self._find(file, number, "local-path", f"an editable install: {line[:120]}")
            elif option[1] in _INDEXES:
                self._find(file, number, "foreign-index", f"packages from outside the index: {line[:120]}")

    def _include(self, file: str, number: int, name: str, depth: int) -> None:
        target = _joined(file, name)
        if target not in self._listed:
            self._find(file, number, "unreadable", f"{name[:80]!r} is not in the package")
        elif target not in self.seen:
            if depth >= MAX_DEPTH:
                self._find(file, number, "unreadable", f"files include each other more than {MAX_DEPTH} deep")
            else:
                self.read_requirements(target, depth + 1)

    def _add(self, file: str, number: int, text: str) -> None:
        plain = _HASH.sub("", text).strip()
        if re.match(r"(?:\.{0,2}/|file:|[A-Za-z]:\\)", plain) or (
            plain.endswith((".whl", ".tar.gz", ".zip")) and "@" not in plain
        ):
            rule = "direct-url" if "://" in plain and not plain.startswith("file:") else "local-path"
            self._find(file, number, rule, f"a file in place of a package: {plain[:120]}")
            return
        if re.match(r"(?:git|hg|svn|bzr)\+|https?://", plain):
            self._find(file, number, "direct-url", f"not from the index: {plain[:120]}")
            return
        try:
            requirement = Requirement(plain)
        except InvalidRequirement as error:
            said = str(error).splitlines()[0][:120]
            self._find(file, number, "invalid-requirement", f"{plain[:80]!r} is not a requirement: {said}")
            return
        if requirement.url:
            self._find(file, number, "direct-url", f"not from the index: {plain[:120]}")
        name = canonicalize_name(requirement.name)
        row = DeclaredDependency(name, requirement, file, number)
        if all((row.name, str(row)) != (other.name, str(other)) for other in self.declared):
            self.declared.append(row)

    def _text(self, file: str) -> str:
        self.seen.append(file)
        try:
            with (self._root / file).open("rb") as stream:
                data = stream.read(MAX_FILE + 1)
        except OSError as error:
            self._find(file, 0, "unreadable", f"the file can't be read: {error.strerror}")
            return ""
        if len(data) > MAX_FILE:
            self._find(file, 0, "unreadable", f"over {MAX_FILE >> 10} KiB")
            return ""
        # pip and the build tools read UTF-8; a byte order mark overrides that.
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return data.decode(encoding, "replace")

    def _find(self, file: str, line: int, rule: str, message: str) -> None:
        self.findings.append(Finding(file, line, rule, message))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines without comments, joined at backslashes, with the number of their first line."""
    held, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if held else number
        held += line.rstrip().removesuffix("\\") + " "
        if line.rstrip().endswith("\\"):
            continue
        plain = _COMMENT.sub("", held).strip()
        held = ""
        if plain:
            yield first, plain


def _joined(file: str, name: str) -> str:
    parts: list[str] = []
    for part in (*PurePosixPath(file).parent.parts, *PurePosixPath(name.strip()).parts):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _line_of(text: str, what: str) -> int:
    """The line number of a text; 0 if it is not there literally."""
    at = text.find(what)
    return text.count("\n", 0, at) + 1 if at >= 0 else 0
