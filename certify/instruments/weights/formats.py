"""Model formats that are not pickles, and what each can hide: code, paths to other files, false lengths.

NPY: numpy.lib.format. GGUF: ggml docs/gguf.md. ONNX: onnx.proto3 (ModelProto.graph = 7; GraphProto.node = 1,
initializer = 5; NodeProto.op_type = 4, domain = 7; TensorProto.external_data = 13). Keras: its Lambda layers
hold marshalled Python (CVE-2024-3660), its configuration names modules (CVE-2025-1550).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from certify.instruments.findings import Finding

from .rules import finding

MAX_ENTRIES = 1 << 20
MAX_TEXT = 1 << 24
MAX_TENSORS = 1 << 16
MAX_FIELDS = 2_000_000
_STEP = 1 << 20

_NPY_HEADER = re.compile(rb"['\"][|<>=]?(O\d*|object)['\"]")
_LAMBDA = re.compile(rb"\"class_name\"\s*:\s*\"Lambda\"")
_MODULE = re.compile(rb"\"module\"\s*:\s*\"([^\"\\]{1,200})\"")
_KERAS_MODULES = (
    b"keras",
    b"tf_keras",
    b"keras_core",
    b"keras_nlp",
    b"keras_cv",
    b"keras_hub",
    b"builtins",
    b"tensorflow",
)
_TEMPLATE = re.compile(
    r"__(class|globals|builtins|import|subclasses|init|mro|base|getattribute|dict)__|\|\s*attr\b|\b(lipsum|cycler|joiner)\b"
)
_TF_OPERATORS = re.compile(rb"\b(EagerPyFunc|PyFunc|PyFuncStateless|ReadFile|WriteFile|MatchingFiles)\b")
_OWN_DOMAINS = (
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
)


class FormatError(Exception):
    """The file violates its format; the message says why."""


def npy_pickle_at(stream: IO[bytes]) -> int | None:
    """The offset of the pickle of an object array in an NPY file; None for an array of numbers."""
    head = stream.read(12)
    if len(head) < 10:
        raise FormatError("the array ends inside its header")
    length, at = (head[8:10], 10) if head[6] == 1 else (head[8:12], 12)
    size = int.from_bytes(length, "little")
    if size > MAX_TEXT:
        raise FormatError("the array's header is too long")
    stream.seek(at)
    header = stream.read(size)
    if len(header) < size:
        raise FormatError("the array ends inside its header")
    return at + size if _NPY_HEADER.search(header) else None


def hdf5(file: str, stream: IO[bytes]) -> Iterator[Finding]:
    """A Keras model in HDF5: its configuration is text in the attributes."""
    before = b""
    while block := stream.read(_STEP):
        window = before + block
        if _LAMBDA.search(window):
            yield finding(file, "code-in-model", "a Keras Lambda layer")
            return
        before = window[-64:]


def keras(file: str, config: bytes) -> Iterator[Finding]:
    if _LAMBDA.search(config):
        yield finding(file, "code-in-model", "a Keras Lambda layer")
    for module in sorted(set(_MODULE.findall(config))):
        if module.partition(b".")[0] not in _KERAS_MODULES:
            yield finding(file, "code-in-model", f"it imports {module.decode('utf-8', 'replace')}")


def saved_model(file: str, stream: IO[bytes]) -> Iterator[Finding]:
    before = b""
    while block := stream.read(_STEP):
        if operator := _TF_OPERATORS.search(before + block):
            yield finding(file, "code-in-model", f"the TensorFlow operator {operator.group().decode()}")
            return
        before = block[-64:]


# GGUF.

_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


class _Reader:
    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.size, self.fields = stream, size, 0

    def number(self, width: int) -> int:
        self.fields += 1
        raw = self.stream.read(width)
        if len(raw) < width or self.fields > MAX_FIELDS:
            raise FormatError("the header is longer than the file")
        return int.from_bytes(raw, "little")

    def skip(self, count: int) -> None:
        if self.stream.tell() + count > self.size:
            raise FormatError("a value is longer than the file")
        self.stream.seek(count, 1)

    def text(self) -> str:
        length = self.number(8)
        if length > MAX_TEXT or self.stream.tell() + length > self.size:
            raise FormatError("a text exceeds the limit")
        return self.stream.read(length).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> str:
        """The text of a value; empty if it is not a text."""
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.number(4), self.number(8)
            if depth > 2 or count > MAX_ENTRIES:
                raise FormatError("an array exceeds the limits of size or depth")
            if inner in _WIDTHS:
                self.skip(_WIDTHS[inner] * count)
                return ""
            for _ in range(count):
                self.value(inner, depth + 1)
            return ""
        if kind not in _WIDTHS:
            raise FormatError(f"unknown value type {kind}")
        self.skip(_WIDTHS[kind])
        return ""


def gguf(file: str, stream: IO[bytes], size: int) -> Iterator[Finding]:
    """Header within bounds, tensors inside the file, no template that accesses Python internals."""
    reader = _Reader(stream, size)
    reader.skip(4)
    version, tensors, entries = reader.number(4), reader.number(8), reader.number(8)
    if not 1 <= version <= 3 or tensors > MAX_TENSORS or entries > MAX_TENSORS:
        raise FormatError("the header's counts are impossible")
    for _ in range(entries):
        key = reader.text()
        value = reader.value(reader.number(4))
        if "template" in key and (match := _TEMPLATE.search(value)):
            yield finding(file, "code-in-model", f"its template uses {match.group()}")
    for _ in range(tensors):
        reader.text()
        dimensions = reader.number(4)
        if dimensions > 8:
            raise FormatError("a tensor has too many dimensions")
        reader.skip(8 * dimensions + 4)
        if reader.number(8) > size:
            raise FormatError("a tensor is outside the file")


# ONNX: protocol buffers, only the fields that are needed.


def onnx(file: str, data: bytes) -> Iterator[Finding]:
    """Paths to other files, Python operators, and domains that need custom native code."""
    budget = [MAX_FIELDS]
    reported: set[str] = set()
    for graph in _messages(data, 7, budget):
        for node in _messages(graph, 1, budget):
            operator, domain = (next((m for m in _messages(node, n, budget)), b"") for n in (4, 7))
            name = domain.decode("utf-8", "replace")
            if operator in (b"PyOp", b"PythonOp", b"PyFunc"):
                yield finding(file, "code-in-model", f"the operator {operator.decode()}")
            elif name not in _OWN_DOMAINS and name not in reported:
                reported.add(name)
                yield finding(file, "custom-operators", name)
        for tensor in _messages(graph, 5, budget):
            for entry in _messages(tensor, 13, budget):
                key, value = (next((m for m in _messages(entry, n, budget)), b"") for n in (1, 2))
                path = value.decode("utf-8", "replace").replace("\\", "/")
                if key == b"location" and (
                    ".." in path.split("/") or PurePosixPath(path).is_absolute() or ":" in path
                ):
                    yield finding(file, "outside-path", path)


def _messages(data: bytes, wanted: int, budget: list[int]) -> Iterator[bytes]:
    """The length-delimited fields with number `wanted`."""
    at = 0
    while at < len(data):
        budget[0] -= 1
        if budget[0] < 0:
            raise FormatError("it has too many fields")
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise FormatError("a field is longer than the file")
            if key >> 3 == wanted:
                yield data[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise FormatError("it is not a protocol buffer")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise FormatError("it is not a protocol buffer")
