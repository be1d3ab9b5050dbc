"""The weights that a plugin opened while it ran, held against those that its manifest declares.

Of each opening somebody told: the kernel's filter, which looked at the file while the call waited, or the
watch inside, whose word can add suspicion and take none away. What a file of the package is, the judge's own
copy says.
"""

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
MAX_HASHED = 1 << 30


@dataclass(frozen=True)
class Opened:
    """A file that was opened, by the path that the plugin used. `what` it held then; the watch inside says
    `named` where it went by the name alone. `digest` is its SHA-256, empty where nobody took it.
    """

    path: str
    what: Literal["LoRA", "weights", "named"]
    digest: str = ""
    by_kernel: bool = False

    @classmethod
    def of_event(cls, detail: str, by_kernel: bool) -> Opened | None:
        """From `WHAT SHA256 PATH`; None for what a plugin wrote there itself, out of form."""
        what, _, rest = detail.partition(" ")
        digest, _, path = rest.partition(" ")
        if not path or what not in ("LoRA", "weights", "named"):
            return None
        return cls(path, what, digest if by_kernel and digest != "-" else "", by_kernel)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Places:
    """Where the worker's files lie: its copy of the candidate, the packages that the candidate needs, what
    the harness gave, and by their SHA-256 the files that it handed over.
    """

    root: Path
    packages: Path | None = None
    given: tuple[Path, ...] = ()
    handed: frozenset[str] = frozenset()


def judge(candidate: Candidate, opened: Iterable[Opened], places: Places) -> list[Finding]:
    """A: a LoRA that is not declared, or undeclared weights of the package. B: other weights that it made,
    and what was gone before it could be looked at. C: weights of a dependency.
    """
    found = (_judge(candidate, one, places) for one in dict.fromkeys(opened))
    return list(dict.fromkeys(row for row in found if row is not None))


def left_behind(folder: Path, handed: frozenset[str]) -> list[Opened]:
    """The LoRAs that lie below `folder` after the run, but for those that were handed over; links are not
    followed, and of a folder with more than 20,000 files the rest is not looked at.
    """
    found = []
    for path in _files(folder):
        what, digest = _look(path)
        if what == "LoRA" and digest not in handed:
            found.append(Opened(str(path), what, digest))
    return found


def _judge(candidate: Candidate, one: Opened, places: Places) -> Finding | None:
    path = Path(one.path)
    if (file := _below(path, places.root)) is not None:
        return _of_package(candidate, file, one)
    if any(_below(path, folder) is not None for folder in places.given):
        return None
    if places.packages is not None and (file := _below(path, places.packages)) is not None:
        what = _look(path)[0] or one.what
        told = f"a dependency's {_named(what)} was opened, which the manifest does not declare"
        return Finding(safe(file), 0, "undeclared-lora", told, CERTAIN if what == "LoRA" else NOTED)
    return _of_the_run(candidate, one, places)


def _of_package(candidate: Candidate, file: str, one: Opened) -> Finding | None:
    manifest = candidate.manifest
    declared = [candidate.file(row.file) for row in (*manifest.models, *manifest.loras) if row.file]
    own = candidate.root / file
    if own in declared:
        return None
    if own.is_file():
        what, _ = _look(own)
    else:
        # It was made in the package's folder, which security.digest-unchanged judges too.
        what = "LoRA" if one.what == "LoRA" else "weights" if one.by_kernel else ""
    if not what:
        return None
    rule = "undeclared-lora" if what == "LoRA" else "undeclared-weights"
    return Finding(safe(file), 0, rule, f"{_named(what)} was opened that the manifest does not declare")


def _of_the_run(candidate: Candidate, one: Opened, places: Places) -> Finding | None:
    """A file that is neither the package's nor the harness's: the plugin made or fetched it."""
    manifest = candidate.manifest
    known = {row.sha256 for row in (*manifest.models, *manifest.loras)} | places.handed
    what, digest = (one.what, one.digest) if one.by_kernel else _look(Path(one.path))
    if (one.digest or digest) in known:
        return None
    band: Band = SUSPICIOUS
    if "LoRA" in (what, one.what):
        what, band = "LoRA", CERTAIN
    elif not what and Path(one.path).exists():
        return None
    where = safe(Path(one.path).name, 80)
    if not what:
        told = "it has the name of weights, and was gone before it could be looked at"
        return Finding(where, 0, "not-looked-at", told, SUSPICIOUS)
    rule = "undeclared-lora" if what == "LoRA" else "undeclared-weights"
    told = f"{_named(what)} was opened that is neither the package's nor declared: it came to be in the run"
    return Finding(where, 0, rule, f"{told} ({safe(one.path, 200)})", band)


def _named(what: str) -> str:
    return "a LoRA" if what == "LoRA" else "a file of weights"


def _below(path: Path, folder: Path) -> str | None:
    """The path relative to `folder`, both as they are and as they really are."""
    for start in (folder, folder.resolve()):
        if path.is_relative_to(start):
            return path.relative_to(start).as_posix()
    return None


def _look(path: Path) -> tuple[WeightsKind, str]:
    """What a file holds and the SHA-256 of a LoRA; empty for what is no regular file or can't be read."""
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
    """Opened without waiting for a pipe's other end, and without following a link. Raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("no regular file")
    return os.fdopen(handle, "rb")


def _files(folder: Path) -> Iterator[Path]:
    left = MAX_FILES
    for place, _, names in os.walk(folder):
        for name in names:
            left -= 1
            if left < 0:
                return
            yield Path(place, name)
