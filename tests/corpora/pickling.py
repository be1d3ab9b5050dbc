"""Pickles put together instruction by instruction. None is ever loaded; all they reach for is harmless."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping


def text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def call(name: str, *arguments: object, protocol: int = 2) -> bytes:
    """A pickle that would call `module.name` with texts, numbers and bytes."""
    module, _, function = name.rpartition(".")
    reach = b"c" + f"{module}\n{function}\n".encode()
    if protocol >= 4:
        reach = text(module) + text(function) + b"\x93"
    mark = bytes([0x80, protocol]) if protocol >= 2 else b""
    return mark + reach + b"(" + b"".join(map(plain, arguments)) + b"tR."


def plain(value: object) -> bytes:
    """The instructions for one plain value."""
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    return pickle.dumps(value, protocol=0)[:-1]


def inside(value: object, hidden: bytes, protocol: int = 2) -> bytes:
    """A pickle of `value` that makes `hidden` (a pickle) first and forgets it."""
    body = pickle.dumps(value, protocol=protocol)
    return body[:2] + hidden.removeprefix(hidden[:2] if hidden[0] == 0x80 else b"")[:-1] + b"0" + body[2:]


def torch_archive(data: bytes, top: str = "archive", members: Mapping[str, bytes] | None = None) -> bytes:
    """A zip as torch.save writes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr(f"{top}/data.pkl", data)
        packed.writestr(f"{top}/version", "3\n")
        packed.writestr(f"{top}/data/0", bytes(64))
        for name, content in (members or {}).items():
            packed.writestr(f"{top}/{name}", content)
    return stream.getvalue()


def tensors(names: tuple[str, ...] = ("weight", "bias")) -> bytes:
    """The pickle of a state dict, as torch writes it (persistent ids for the storages)."""
    body = b"\x80\x02ccollections\nOrderedDict\n)R("
    for index, name in enumerate(names):
        storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + plain(str(index)) + plain("cpu") + b"K\x04tQ"
        rebuilt = b"(" + storage + b"K\0(K\x02K\x02t(K\x02K\x01t\x89ccollections\nOrderedDict\n)Rt"
        body += plain(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + rebuilt + b"R"
    return body + b"u."
