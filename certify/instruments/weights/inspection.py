"""Judges a weights file by its bytes, never by its name; nothing in it is loaded.

A file that can't be scanned to its end, within bounds of time and memory, is not cleared.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

from certify.instruments.files import magic
from certify.instruments.files.unpacking import UNREADABLE, UnpackError, bounded, unpack
from certify.instruments.findings import NOTED, Finding

from . import formats
from .pickle import is_pickle, read_pickles, refused
from .rules import finding
from .safetensors import MAX_HEADER_BYTES, WeightsError, read_safetensors_header

MAX_MEMBERS = 20_000
MAX_READ = 64 << 20  # of a member, or of compressed data
MAX_RATIO, RATIO_FROM = 200, 64 << 20
MAX_NESTED = 3
_HEAD, _TAIL = 64 << 10, 1 << 20
_ZIP_LOCAL, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_NUMPY, _HDF5, _GGUF = b"\x93NUMPY", b"\x89HDF\r\n\x1a\n", b"GGUF"
_LFS = b"version https://git-lfs.github.com/spec/"
# Files with these names are loaded as weights, so all their content must be known.
WEIGHTS_SUFFIXES = (
    *(".safetensors", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz", ".h5"),
    *(".hdf5", ".keras", ".gguf", ".onnx", ".pt2", ".mar", ".nemo", ".msgpack", ".cloudpickle"),
)
_UNKNOWN_REFUSED = tuple(name for name in WEIGHTS_SUFFIXES if name not in (".safetensors", ".msgpack"))
_PICKLE_MEMBER = re.compile(r"(.*/)?[^/]*\.(pkl|pickle|p|joblib|dill)", re.I)
_STORAGE_MEMBER = re.compile(r"[^/]+/(data|xl_data|tensors)/[^/]+")
_TORCH_ARCHIVE = re.compile(r"(?P<top>[^/]+/)(data\.pkl|version)")

_WORDS = {
    "pickle": "a pickle",
    "zip": "a zip archive",
    "tar": "a tar archive",
    "compressed": "a compressed file",
}

FileFormat = Literal["safetensors", "pickle", "zip", "tar", "compressed", "npy", "hdf5", "gguf", "other"]


def sniff(path: Path) -> FileFormat:
    """The format of a file by its bytes. A pickle inside safetensors is still a pickle. Raises `OSError`."""
    with path.open("rb") as stream:
        return _sniff(stream)


def check_weights(root: Path, files: Iterable[str]) -> list[Finding]:
    """Findings of the weights files among `files` below `root`: those by their bytes and those by name."""
    findings: list[Finding] = []
    for file in files:
        try:
            rows = list(_check(root / file, file))
            worst = min((row.band for row in rows), default=NOTED)
            findings += [row for row in rows if row.band == worst]
        except OSError as error:
            findings.append(finding(file, "unreadable", error.strerror or str(error)))
    return findings


def _check(path: Path, file: str) -> Iterator[Finding]:
    if not stat.S_ISREG(path.stat().st_mode):
        yield finding(file, "unreadable", "it is not a regular file")
        return
    with path.open("rb") as stream:
        kind = _sniff(stream)
        size = stream.seek(0, io.SEEK_END)
        yield from _of_kind(stream, size, file, kind, MAX_NESTED)
    if file.lower().endswith(".safetensors"):
        yield from _safetensors(path, file, kind)


def _sniff(stream: IO[bytes]) -> FileFormat:
    stream.seek(0)
    head = stream.read(_HEAD)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _TAIL))
    tail = stream.read(_TAIL)
    if head.startswith(_NUMPY):
        return "npy"
    if head.startswith(_HDF5):
        return "hdf5"
    if head.startswith(_GGUF):
        return "gguf"
    if head.startswith(_ZIP_LOCAL):
        return "zip"
    stream.seek(0)
    if is_pickle(stream, size):
        return "pickle"
    if _ZIP_END in tail and _is_zip(stream):
        return "zip"
    if (kind := magic.archive(head)) or _is_zlib(head):
        return "tar" if kind == "tar" else "compressed"
    length = int.from_bytes(head[:8], "little")
    fits = head[8:9] == b"{" and length <= MAX_HEADER_BYTES and 8 + length <= size
    return "safetensors" if fits else "other"


def _is_zip(stream: IO[bytes]) -> bool:
    stream.seek(0)
    return zipfile.is_zipfile(stream)


def _is_zlib(head: bytes) -> bool:
    """RFC 1950: deflate with a window of 32 KiB, and a header divisible by 31."""
    return head[:1] == b"\x78" and len(head) > 6 and int.from_bytes(head[:2], "big") % 31 == 0


def _of_kind(stream: IO[bytes], size: int, file: str, kind: FileFormat, nested: int) -> Iterator[Finding]:
    stream.seek(0)
    try:
        if kind == "pickle":
            yield from _pickle(stream, size, file)
        elif kind == "zip":
            yield from _zip(stream, file, nested)
        elif kind == "npy":
            at = formats.npy_pickle_at(stream)
            if at is not None:
                stream.seek(at)
                yield from _pickle(stream, size, file)
        elif kind == "hdf5":
            yield from formats.hdf5(file, stream)
        elif kind == "gguf":
            yield from formats.gguf(file, stream, size)
        elif kind in ("tar", "compressed"):
            yield from _packed(stream, size, file, nested)
        elif kind == "other":
            yield from _other(stream, file)
    except (formats.FormatError, UnpackError) as error:
        yield finding(file, "not-scanned", str(error))


def _pickle(stream: IO[bytes], size: int, file: str) -> Iterator[Finding]:
    reading = read_pickles(stream, size)
    if names := refused(reading):
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield finding(file, "pickle", shown)
    elif reading.error or reading.trailing:
        yield finding(file, "not-scanned", f"a pickle, and {reading.error or 'other data follows it'}")
    else:
        yield finding(file, "pickle-of-tensors", ", ".join(sorted(reading.names)[:3]) or "plain values")


def _zip(stream: IO[bytes], file: str, nested: int) -> Iterator[Finding]:
    stream.seek(0)
    if stream.read(4) != _ZIP_LOCAL and file.lower().endswith(WEIGHTS_SUFFIXES):
        yield finding(file, "polyglot", "a zip archive is appended to it")
    try:
        with zipfile.ZipFile(stream) as packed:
            yield from _members(packed, file, nested)
    except UNREADABLE as error:
        yield finding(file, "not-scanned", f"an archive that can't be read: {error}")


def _members(packed: zipfile.ZipFile, file: str, nested: int) -> Iterator[Finding]:
    infos = packed.infolist()
    names = [info.filename for info in infos]
    total, held = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if len(infos) > MAX_MEMBERS or (total > RATIO_FROM and total > MAX_RATIO * max(held, 1)):
        yield finding(file, "bomb", f"{total:,} bytes in {held:,}, {len(infos):,} members")
        return
    if len(set(names)) < len(names):
        yield finding(file, "not-scanned", "an archive has two members of the same name")
    top = next((match.group("top") for match in map(_TORCH_ARCHIVE.fullmatch, names) if match), None)
    if top and any(name.startswith(f"{top}code/") for name in names):
        yield finding(file, "code-in-model", "a TorchScript archive")
    for info in infos:
        if info.flag_bits & 1:
            raise ValueError("it is encrypted")
        raw = top is not None and _STORAGE_MEMBER.fullmatch(info.filename) and info.filename.startswith(top)
        if not raw and not info.is_dir():
            yield from _member(packed, info, file, nested)


def _member(packed: zipfile.ZipFile, info: zipfile.ZipInfo, file: str, nested: int) -> Iterator[Finding]:
    """A member, if it is a pickle, a Keras configuration, or a weights file."""
    with packed.open(info) as stream:
        head = stream.read(_HEAD)
        stream.seek(0)
        named = bool(_PICKLE_MEMBER.fullmatch(info.filename)) or is_pickle(stream, info.file_size)
    inner = "pickle" if named else _sniff(io.BytesIO(head))
    if info.filename.endswith("config.json"):
        with packed.open(info) as stream:
            yield from formats.keras(file, bounded(stream, MAX_READ))
    if inner in ("other", "safetensors"):
        return
    if inner == "npy" and formats.npy_pickle_at(io.BytesIO(head)) is None:
        return
    if nested == 0:
        raise ValueError("archives are nested too deep")
    with packed.open(info) as stream:
        data = bounded(stream, MAX_READ)
    yield from _of_kind(io.BytesIO(data), len(data), file, inner, nested - 1)


def _packed(stream: IO[bytes], size: int, file: str, nested: int) -> Iterator[Finding]:
    """Tar archives and compressed files, whose content is checked by the same rules."""
    if nested == 0:
        raise UnpackError("archives are nested too deep")
    stream.seek(0)
    head = stream.read(_HEAD)
    kind = magic.archive(head) or "zlib"
    stream.seek(0)
    if kind == "tar":
        yield from _tar(stream, file, nested)
        return
    data = unpack(kind, bounded(stream, MAX_READ), MAX_READ)
    inner = _sniff(io.BytesIO(data))
    if inner == "other" and not file.lower().endswith(WEIGHTS_SUFFIXES):
        return
    yield from _of_kind(io.BytesIO(data), len(data), file, inner, nested - 1)


def _tar(stream: IO[bytes], file: str, nested: int) -> Iterator[Finding]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as bundle:
            for index, member in enumerate(bundle):
                content = bundle.extractfile(member) if member.isreg() else None
                if index > MAX_MEMBERS:
                    raise UnpackError("it has too many members")
                if content is not None:
                    data = bounded(content, MAX_READ)
                    yield from _of_kind(
                        io.BytesIO(data), len(data), file, _sniff(io.BytesIO(data)), nested - 1
                    )
    except UNREADABLE as error:
        raise UnpackError(f"an archive that can't be read ({error})") from None


def _other(stream: IO[bytes], file: str) -> Iterator[Finding]:
    """Formats without a magic number: ONNX and TensorFlow are checked, any other is not cleared."""
    name = file.lower()
    head = stream.read(_HEAD)
    stream.seek(0)
    if name.endswith(".onnx"):
        yield from formats.onnx(file, bounded(stream, 1 << 30))
    elif name.endswith("saved_model.pb"):
        yield from formats.saved_model(file, stream)
    elif name.endswith(_UNKNOWN_REFUSED) and not (name.endswith(".pth") and _is_text(head)):
        yield finding(file, "not-scanned", f"{_shown(head)} is not a known format")


def _safetensors(path: Path, file: str, kind: FileFormat) -> Iterator[Finding]:
    """A file with this suffix must be safetensors, and nothing else."""
    if kind not in ("other", "safetensors"):
        yield finding(
            file, "not-safetensors", f"by its bytes this is {_WORDS.get(kind, kind)}, not safetensors"
        )
        return
    try:
        read_safetensors_header(path)
    except WeightsError as error:
        with path.open("rb") as stream:
            pointer = stream.read(len(_LFS)) == _LFS
        reason = "this is a Git LFS pointer, not the file itself" if pointer else str(error)
        yield finding(file, "not-safetensors", reason)


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and "\ufffd" not in head[:1024].decode("utf-8", "replace")


def _shown(head: bytes) -> str:
    return f"content that begins with {head[:8].hex(' ') or 'nothing'}"
