"""The submission: a folder, a wheel or a zip, staged as a clean copy in a folder of the judge.

Nothing here executes or imports the submission. Files that are not staged are not in the digest, and files
that are not in the digest never run. Empty folders, permissions and times are not part of the digest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

from certify.errors import did_you_mean
from certify.submission.archive import entered, members_of
from certify.submission.staging import (
    DEFAULT_LIMITS,
    FileEntry,
    Limits,
    Member,
    SubmissionError,
    check_count,
    check_path,
    is_left_out,
    measure,
    stage,
    within,
)

__all__ = [
    "DEFAULT_LIMITS",
    "FileEntry",
    "Kind",
    "Limits",
    "Submission",
    "SubmissionError",
    "digest_of",
    "open_submission",
]

Kind = Literal["folder", "wheel", "zip"]

_SUFFIXES: dict[str, Kind] = {".whl": "wheel", ".zip": "zip"}


@dataclass(frozen=True)
class Submission:
    """A staged submission: `root` contains exactly `files` (sorted by path), and `digest` identifies them."""

    kind: Kind
    source: Path
    root: Path
    files: tuple[FileEntry, ...]
    digest: str


def open_submission(source: Path, into: Path, limits: Limits = DEFAULT_LIMITS) -> Submission:
    """Stages `source` (a folder, `.whl` or `.zip`) into the empty or missing folder `into`.

    Where the only top folder of a zip contains the manifest, that folder is staged: a folder and its zip have
    the same digest. Links in a folder are followed and become plain files; a zip may contain none.

    Raises SubmissionError where `source` cannot be accepted, and then removes `into`. Raises ValueError where
    `into` is not empty.
    """
    with _as_submission_error(source):
        kind = _kind_of(source)
    if kind == "folder" and into.resolve().is_relative_to(source.resolve()):
        raise SubmissionError(
            f"the working directory {into} is inside the plugin {source}",
            "Choose an output folder outside the plugin.",
        )
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise ValueError(f"{into} is not empty")
    try:
        with _as_submission_error(source):
            if kind == "folder":
                files = stage(within(_walk(source, limits), limits), into)
            else:
                with members_of(source, limits) as members:
                    chosen = entered(members) if kind == "zip" else members
                    files = stage(within(chosen, limits), into)
        if not files:
            raise SubmissionError(
                f"{source} contains no files", "Submit the folder that contains plugin.toml."
            )
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return Submission(kind, source, into, files, _digest(files))


def digest_of(root: Path, limits: Limits = DEFAULT_LIMITS) -> str:
    """The digest of a folder's content, by the rules of staging; equal to `Submission.digest` for its `root`.

    "sha256:" and the SHA-256, in hex, of one line `<sha256 of the file>  <path>\\n` per file (UTF-8,
    sorted by path), as `sha256sum` prints it. Raises SubmissionError where `root` could not be a submission.
    """
    with _as_submission_error(root):
        return _digest(tuple(measure(member) for member in within(_walk(root, limits), limits)))


def _digest(files: tuple[FileEntry, ...]) -> str:
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


@contextmanager
def _as_submission_error(place: Path) -> Iterator[None]:
    """Turns errors of the system (no permission, disk full) into SubmissionError."""
    try:
        yield
    except OSError as error:
        raise SubmissionError(f"{error.filename or place}: {error.strerror or error}") from error


def _kind_of(source: Path) -> Kind:
    if source.is_dir():
        return "folder"
    if not source.exists():
        beside = [path.name for path in source.parent.iterdir()] if source.parent.is_dir() else []
        raise SubmissionError(
            f"{source} does not exist",
            did_you_mean(source.name, beside) or "Give the path of a folder, a wheel (.whl) or a zip.",
        )
    kind = _SUFFIXES.get(source.suffix.lower())
    if kind is None or not source.is_file():
        raise SubmissionError(
            f"{source} is neither a folder, a wheel (.whl) nor a zip", "Submit one of these three."
        )
    return kind


def _walk(root: Path, limits: Limits) -> Iterator[Member]:
    """The files below `root` in no particular order; folders count towards `max_files` as well."""
    top = Path(os.path.realpath(root))
    seen = 0

    def walk(folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[Member]:
        nonlocal seen
        for place in folder.iterdir():
            if is_left_out(place.name):
                continue
            seen += 1
            check_count(seen, limits)
            path = prefix + place.name
            check_path(path, limits)
            real = _real_path(place, path, top)
            status = real.stat()
            if stat.S_ISDIR(status.st_mode):
                if real in above:
                    raise SubmissionError(
                        f"the link {path!r} points to a folder above it", "Remove the link."
                    )
                yield from walk(real, path + "/", above | {real})
            elif stat.S_ISREG(status.st_mode):
                yield Member(path, status.st_size, partial(_opened, real))
            else:
                raise SubmissionError(
                    f"{path!r} is neither a file nor a folder", "Remove the pipe, device or socket."
                )

    yield from walk(top, "", frozenset({top}))


def _opened(file: Path) -> IO[bytes]:
    return file.open("rb")


def _real_path(place: Path, path: str, top: Path) -> Path:
    """The real path of `place`, with links followed; never outside `top`."""
    try:
        real = Path(os.path.realpath(place, strict=True))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SubmissionError(f"the link {path!r} points to itself", "Remove the link.") from error
        if error.errno == errno.ENOENT:
            raise SubmissionError(
                f"the link {path!r} points to a missing file", "Remove or fix the link."
            ) from error
        raise
    if not real.is_relative_to(top):
        raise SubmissionError(
            f"the link {path!r} points outside the plugin's folder",
            "Replace the link by a copy of its target.",
        )
    return real
