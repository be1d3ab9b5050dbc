"""The files of a wheel or zip, listed without trusting the archive's own statements."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from certify.submission.staging import (
    CHUNK,
    REPACK,
    Limits,
    Member,
    SubmissionError,
    check_count,
    check_path,
    is_left_out,
)

# Everything that the standard library raises on a damaged archive.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, RuntimeError)

_MANIFESTS = ("plugin.toml", "pyproject.toml")


@contextmanager
def members_of(file: Path, limits: Limits) -> Iterator[list[Member]]:
    """The members of an archive, which can be opened within the context.

    Raises SubmissionError for damage, at listing or at reading, and for links, special files, encrypted
    members, methods other than deflate, and members with too high a compression ratio.
    """
    try:
        with _Bounded(file, max(limits.max_directory, CHUNK)) as stream, zipfile.ZipFile(stream) as archive:
            yield list(_listed(archive, limits))
    except _BROKEN as error:
        raise SubmissionError(f"{file} is damaged: {error}", REPACK) from error


def entered(members: list[Member]) -> list[Member]:
    """The members below the only top folder, where that folder contains the manifest."""
    tops = {member.path.split("/", 1)[0] for member in members}
    top = tops.pop() + "/" if len(tops) == 1 else ""
    if not top or not any(member.path == top + name for member in members for name in _MANIFESTS):
        return members
    return [Member(member.path[len(top) :], member.size, member.open) for member in members]


class _Bounded(io.BufferedReader):
    """Refuses a single read beyond a limit: zipfile reads a table of contents at the length it declares."""

    def __init__(self, file: Path, limit: int) -> None:
        super().__init__(io.FileIO(file))
        self._limit = limit

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._limit:
            raise SubmissionError("the archive's table of contents is too large", REPACK)
        return super().read(size)


def _listed(archive: zipfile.ZipFile, limits: Limits) -> Iterator[Member]:
    seen = 0
    for info in archive.infolist():
        # zipfile changes `filename` (cut at NUL, other separators): check the original name.
        name = info.orig_filename
        path = name.removesuffix("/")
        if any(map(is_left_out, path.split("/"))):
            continue
        seen += 1
        check_count(seen, limits)
        check_path(path, limits)
        _check_member(info, path, limits)
        if not name.endswith("/"):
            yield Member(path, info.file_size, partial(archive.open, info))


def _check_member(info: zipfile.ZipInfo, path: str, limits: Limits) -> None:
    form = stat.S_IFMT(info.external_attr >> 16)
    if form == stat.S_IFLNK:
        raise SubmissionError(f"{path!r} in the archive is a link", "Pack the target of the link instead.")
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise SubmissionError(f"{path!r} in the archive is neither a file nor a folder", REPACK)
    if info.flag_bits & 0x41:  # encrypted or strongly encrypted (APPNOTE 4.4.4)
        raise SubmissionError(f"{path!r} in the archive is encrypted", "Pack the plugin without a password.")
    # The other methods unpack without a bound on memory.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SubmissionError(f"{path!r} is compressed by a method other than deflate", REPACK)
    if info.file_size >= limits.ratio_from and info.file_size > limits.max_ratio * max(info.compress_size, 1):
        raise SubmissionError(
            f"{path!r} unpacks to more than {limits.max_ratio} times its size, like a zip bomb",
            "Submit the folder instead, or remove the empty data.",
        )
