"""Limits of folders and archives, and how their files are copied."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from certify.errors import UserError

# Version control, caches and files of operating systems, which are no part of a plugin.
LEFT_OUT = frozenset(
    {".git", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".DS_Store", "__MACOSX"}
)
LEFT_OUT_SUFFIX = ".pyc"
CHUNK = 1 << 20
REPACK = "Pack the plugin's folder again as a plain zip."

_DRIVE = re.compile(r"[A-Za-z]:")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class SubmissionError(UserError):
    """The submission cannot be accepted as it is."""


@dataclass(frozen=True)
class Limits:
    """How much a submission may hold; sizes in bytes."""

    max_files: int = 20_000  # files and folders together
    max_file: int = 4 << 30
    max_total: int = 8 << 30
    max_ratio: int = 200  # unpacked over packed size of one member ...
    ratio_from: int = 1 << 20  # ... checked for members from this size on
    max_path: int = 240  # characters
    max_depth: int = 32  # folders
    max_directory: int = 8 << 20  # a zip's table of contents, which is read at once


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, order=True)
class FileEntry:
    """One staged file: `path` relative to the root with forward slashes, `size` in bytes, `sha256` in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Member:
    """One file before it is staged; `size` is what its folder or archive declares."""

    path: str
    size: int
    open: Callable[[], IO[bytes]]


def is_left_out(name: str) -> bool:
    return name in LEFT_OUT or name.endswith(LEFT_OUT_SUFFIX)


def check_count(count: int, limits: Limits) -> None:
    if count > limits.max_files:
        raise SubmissionError(
            f"more than {limits.max_files:,} files and folders", "Remove what is not needed."
        )


def check_path(path: str, limits: Limits) -> None:
    """Refuses a path that has another meaning on any of the three systems."""
    parts = path.split("/")
    wrong = ""
    if path.startswith("/") or any(_DRIVE.match(part) for part in parts):
        wrong = "is absolute"
    elif "\\" in path:
        wrong = "has a backslash"
    elif any(
        not part.rstrip(" .") for part in parts
    ):  # Windows drops dots and blanks at the end: ".. " is ".."
        wrong = "has a part that is empty or made of dots"
    elif _UNPRINTABLE.search(path) or not _is_utf8(path):
        wrong = "has characters that are not allowed in file names"
    elif len(path) > limits.max_path:
        wrong = f"is longer than {limits.max_path} characters"
    elif len(parts) > limits.max_depth:
        wrong = f"is more than {limits.max_depth} folders deep"
    if wrong:
        shown = path if len(path) <= limits.max_path else path[:60] + "..."
        raise SubmissionError(f"the path {shown!r} {wrong}", "Use plain relative paths with forward slashes.")


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def within(members: Iterable[Member], limits: Limits) -> list[Member]:
    """The members, sorted, after a check of their declared sizes and their names."""
    ordered = sorted(members, key=lambda member: member.path)
    paths: set[str] = set()
    total = 0
    for member in ordered:
        if member.path in paths:
            raise SubmissionError(f"{member.path!r} appears twice", REPACK)
        paths.add(member.path)
        total += member.size
        if member.size > limits.max_file:
            raise SubmissionError(f"{member.path!r} is larger than {_gib(limits.max_file)}")
        if total > limits.max_total:
            raise SubmissionError(f"the submission is larger than {_gib(limits.max_total)} unpacked")
    for member in ordered:
        for folder in Path(member.path).parents:
            if folder.as_posix() in paths:
                raise SubmissionError(f"{folder.as_posix()!r} is both a file and a folder", REPACK)
    return ordered


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.3g} GiB"


def stage(members: list[Member], into: Path) -> tuple[FileEntry, ...]:
    return tuple(_copy(member, into / member.path) for member in members)


def _copy(member: Member, target: Path) -> FileEntry:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            return measure(member, out.write)
    except (FileExistsError, NotADirectoryError) as error:
        raise SubmissionError(
            f"{member.path!r} has the same name as another file on this system",
            "Rename one of the files that differ only in case or accents.",
        ) from error


def measure(member: Member, write: Callable[[bytes], object] = len) -> FileEntry:
    """Streams one member through `write` and checks its declared size."""
    sha256, size = hashlib.sha256(), 0
    with member.open() as stream:
        while size <= member.size and (chunk := stream.read(CHUNK)):
            size += len(chunk)
            sha256.update(chunk)
            write(chunk)
    if size != member.size:
        raise SubmissionError(
            f"{member.path!r} does not have the declared {member.size:,} bytes",
            "Submit it again, and do not change it meanwhile.",
        )
    return FileEntry(member.path, size, sha256.hexdigest())
