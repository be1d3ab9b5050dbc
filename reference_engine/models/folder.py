"""Checks a model's folder in the diffusers layout without loading it: is it complete, and is it the right
one?
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from ..errors import ModelNotLoaded
from .hashes import file_digest

COMPONENTS = ("text_encoder", "unet", "vae")
CONFIG_FILES = (
    "text_encoder/config.json",
    "unet/config.json",
    "vae/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
)
CHECKSUMS = "SHA256SUMS"
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")

_ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
_MAX_HEADER = 100 * 2**20


def check_folder(path: Path, sha256: str | None = None, *, force: bool = False) -> None:
    """Raises ModelNotLoaded unless `path` is a complete model in safetensors, with the digest `sha256` if one
    is given. The digest is checked before any file is parsed.

    `force` reads every file again, including those with a cached hash.
    """
    if not path.is_dir():
        raise ModelNotLoaded(
            f"There is no model folder at {path}.",
            ["Point model.path at a folder in the diffusers layout (text_encoder, unet, vae, ...)."],
        )
    missing = [name for name in CONFIG_FILES if not (path / name).is_file()]
    if missing:
        raise ModelNotLoaded(
            f"The model in {path} is incomplete; missing: {', '.join(missing)}.",
            ["Copy or download the whole folder again."],
        )
    if sha256 is not None and (actual := folder_digest(path, force=force)) != sha256.lower():
        raise ModelNotLoaded(
            f"The model in {path} is not the configured one: its sha256 is {actual}, not {sha256.lower()}.",
            [
                "Get the model again from where its sha256 was published.",
                "If the change is intended, put the new sha256 into the configuration.",
            ],
        )
    for component in COMPONENTS:
        weight_shapes(path / component)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of one component. Raises ModelNotLoaded if there are none, or only pickles."""
    files = sorted(file for file in folder.glob("*.safetensors") if ".fp16." not in file.name)
    if files:
        return files
    pickles = sorted(file.name for file in folder.glob("*") if file.suffix in PICKLES)
    if pickles:
        raise ModelNotLoaded(
            f"{folder} has its weights as {', '.join(pickles)}: a pickle, which runs code when it is opened.",
            ["Use the safetensors edition of the model, or convert it on a machine where that code may run."],
        )
    raise ModelNotLoaded(
        f"There are no weights (*.safetensors) in {folder}.", ["Copy or download the folder again."]
    )


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name to shape of every tensor of a component, read only from the files' headers. Raises
    ModelNotLoaded.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        shapes.update({name: tuple(entry["shape"]) for name, entry in read_header(file).items()})
    return shapes


def read_header(file: Path) -> dict[str, dict[str, Any]]:
    """The tensors' entries (dtype, shape, data_offsets) of a safetensors file, which must be well formed and
    as long as its header says.

    Raises ModelNotLoaded. Format: 8 bytes little-endian length, that much JSON, then the data.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(size - 8, _MAX_HEADER):
                raise ValueError("the header's length cannot be true")
            header: dict[str, Any] = json.loads(stream.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        ends = [_end(entry) for entry in entries.values()]
    except OSError as error:
        raise ModelNotLoaded(
            f"{file} cannot be read: {error.strerror}.", ["Check the file and its permissions."]
        ) from None
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise ModelNotLoaded(
            f"{file} is not a safetensors file, in spite of its name.",
            ["Get the file again from its source; a renamed pickle or an error page looks like this."],
        ) from None
    if max(ends, default=0) != size - 8 - length:
        raise ModelNotLoaded(
            f"{file} is altered: it has {size} bytes, its header says {8 + length + max(ends, default=0)}.",
            ["Copy or download the file again."],
        )
    return entries


def _end(entry: dict[str, Any]) -> int:
    count = 1
    for side in entry["shape"]:
        count *= side
    start, end = entry["data_offsets"]
    if end - start != count * _ITEM_BYTES.get(entry["dtype"], (end - start) // max(count, 1)):
        raise ValueError("an entry's length does not fit its shape")
    return int(end)


def folder_digest(path: Path, *, force: bool = False) -> str:
    """The digest of a folder: the sha256 of the lines `<sha256 of the file>  <relative path>`, sorted by
    path.

    Every file counts except SHA256SUMS itself and hidden files. Paths have forward slashes, and lines end in
    a newline. So it equals `sha256sum SHA256SUMS` if `sha256sum` made that file from the same files. Raises
    ModelNotLoaded if a file cannot be read.
    """
    return hashlib.sha256(checksums(path, force=force).encode("utf-8")).hexdigest()


def checksums(path: Path, *, force: bool = False) -> str:
    """The text of a SHA256SUMS file for the folder's current content. Raises ModelNotLoaded."""
    try:
        files = (item.relative_to(path) for item in path.rglob("*") if item.is_file())
        names = [file for file in files if file.name != CHECKSUMS and not hidden(file)]
        return checksum_lines({name.as_posix(): file_digest(path / name, force=force) for name in names})
    except OSError as error:
        raise ModelNotLoaded(
            f"{error.filename or path} cannot be read: {error.strerror}.",
            ["Check the file and its permissions."],
        ) from None


def checksum_lines(digests: Mapping[str, str]) -> str:
    """The text of a SHA256SUMS file, from relative path to sha256."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def hidden(file: PurePath) -> bool:
    """Whether a part of the relative path begins with a dot. Such files are not part of the model."""
    return any(part.startswith(".") for part in file.parts)
