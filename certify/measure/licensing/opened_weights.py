"""Compares the weights that a plugin opened during the run with those that its manifest declares.

An event for each opened file comes from the seccomp filter, which inspected the file while the call waited,
or from the audit hook in the worker, which can only add suspicion. A file of the package is read from the
host's copy."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Band, Finding
from certify.instruments.weights.first_bytes import WeightsKind, glance
from certify.text import safe

MAX_FILES = 20_000
MAX_HASHED = 1 << 30  # bytes


@dataclass(frozen=True)
class Opened:
    """An opened file, by the path that the plugin used. `what` is its content at that time; the audit hook
    says `named`, because it sees the name only. `digest` is its SHA-256, empty where it was not computed."""

    path: str
    what: Literal["LoRA", "weights", "named"]
    digest: str = ""
    by_kernel: bool = False

    @classmethod
    def of_event(cls, detail: str, by_kernel: bool) -> Opened | None:
        """Parses `WHAT SHA256 PATH`; None for an invalid text, which the plugin wrote."""
        what, _, rest = detail.partition(" ")
        digest, _, path = rest.partition(" ")
        if not path or what not in ("LoRA", "weights", "named"):
            return None
        return cls(path, what, digest if by_kernel and digest != "-" else "", by_kernel)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Places:
    """The folders of the worker's files: its copy of the candidate, the candidate's packages, the folders
    from the harness, and the SHA-256 of the files that the harness gave it."""

    root: Path
    packages: Path | None = None
    given: tuple[Path, ...] = ()
    handed: frozenset[str] = frozenset()


def judge(candidate: Candidate, opened: Iterable[Opened], places: Places) -> list[Finding]:
    """Band A: an undeclared LoRA, or undeclared weights in the package. Band B: other weights that the plugin
    created, and files that were deleted before an inspection. Band C: weights of a dependency.
    """
    findings = (_judge(candidate, file, places) for file in dict.fromkeys(opened))
    return list(dict.fromkeys(finding for finding in findings if finding is not None))


def left_behind(folder: Path, handed: frozenset[str]) -> list[Opened]:
    """The LoRAs below `folder` after the run, without those that the harness gave. Symbolic links are not
    followed, and only the first 20,000 files are inspected.
    """
    loras = []
    for path in _files(folder):
        what, digest = _look(path)
        if what == "LoRA" and digest not in handed:
            loras.append(Opened(str(path), what, digest))
    return loras


def _judge(candidate: Candidate, opened: Opened, places: Places) -> Finding | None:
    path = Path(opened.path)
    if (file := _below(path, places.root)) is not None:
        return _of_package(candidate, file, opened)
    if any(_below(path, folder) is not None for folder in places.given):
        return None
    if places.packages is not None and (file := _below(path, places.packages)) is not None:
        what = _look(path)[0] or opened.what
        message = f"a dependency's {_named(what)} was opened, which the manifest does not declare"
        return Finding(safe(file), 0, "undeclared-lora", message, CERTAIN if what == "LoRA" else NOTED)
    return _of_the_run(candidate, opened, places)


def _of_package(candidate: Candidate, file: str, opened: Opened) -> Finding | None:
    manifest = candidate.manifest
    declared = [candidate.file(row.file) for row in (*manifest.models, *manifest.loras) if row.file]
    own = candidate.root / file
    if own in declared:
        return None
    if own.is_file():
        what, _ = _look(own)
    else:
        # It was created in the package's folder; security.digest-unchanged judges that too.
        what = "LoRA" if opened.what == "LoRA" else "weights" if opened.by_kernel else ""
    if not what:
        return None
    rule = "undeclared-lora" if what == "LoRA" else "undeclared-weights"
    return Finding(safe(file), 0, rule, f"{_named(what)} was opened that the manifest does not declare")


def _of_the_run(candidate: Candidate, opened: Opened, places: Places) -> Finding | None:
    """A file that is not from the package or the harness: the plugin created or downloaded it."""
    manifest = candidate.manifest
    known = {row.sha256 for row in (*manifest.models, *manifest.loras)} | places.handed
    what, digest = (opened.what, opened.digest) if opened.by_kernel else _look(Path(opened.path))
    if (opened.digest or digest) in known:
        return None
    band: Band = SUSPICIOUS
    if "LoRA" in (what, opened.what):
        what, band = "LoRA", CERTAIN
    elif not what and Path(opened.path).exists():
        return None
    where = safe(Path(opened.path).name, 80)
    if not what:
        message = "it has a name of weights, and was deleted before it could be inspected"
        return Finding(where, 0, "not-looked-at", message, SUSPICIOUS)
    rule = "undeclared-lora" if what == "LoRA" else "undeclared-weights"
    message = f"{_named(what)} was opened that is neither in the package nor declared; it is new in this run"
    return Finding(where, 0, rule, f"{message} ({safe(opened.path, 200)})", band)


def _named(what: str) -> str:
    return "a LoRA" if what == "LoRA" else "a file of weights"


def _below(path: Path, folder: Path) -> str | None:
    """The path relative to `folder`, as given or resolved; None where it is not below."""
    for start in (folder, folder.resolve()):
        if path.is_relative_to(start):
            return path.relative_to(start).as_posix()
    return None


def _look(path: Path) -> tuple[WeightsKind, str]:
    """The kind of a file and the SHA-256 of a LoRA; empty for an unreadable or irregular file."""
    with suppress(OSError, ValueError), _regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        what = glance(stream, size)
        if what != "LoRA" or size > MAX_HASHED:
            return what, ""
        digest = hashlib.sha256()
        stream.seek(0)
        while block := stream.read(1 << 20):
            digest.update(block)
        return what, digest.hexdigest()
    return "", ""


def _regular(path: Path) -> IO[bytes]:
    """Opens a regular file without following a symbolic link or blocking on a pipe. Raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("not a regular file")
    return os.fdopen(handle, "rb")


def _files(folder: Path) -> Iterator[Path]:
    left = MAX_FILES
    for place, _, names in os.walk(folder):
        for name in names:
            left -= 1
            if left < 0:
                return
            yield Path(place, name)
