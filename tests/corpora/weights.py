"""Weight files that a store must refuse, and such as it must take, by the name of the file.

They are written as bytes and loaded by nobody; what the pickles name is harmless.
"""

from __future__ import annotations

import bz2
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from tests.corpora.pickling import call, inside, plain, tensors, text, torch_archive

ARRAYS: dict[str, np.ndarray] = {
    "unet.attn2.to_k.lora_A.weight": np.linspace(-1, 1, 4 * 768, dtype=np.float32).reshape(4, 768),
    "unet.attn2.to_k.lora_B.weight": np.ones((320, 4), np.float16),
}
GOOD = safetensors.numpy.save(ARRAYS, metadata={"format": "pt"})
STATE = {"weight": [1.0, 2.0], "name": "x"}
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
PID = call("os.getpid")

_EXTENSION = b"\x80\x02\x82\x01(tR."
_SETS_ATTRIBUTE = b"\x80\x02ccollections\nOrderedDict\n(N}" + plain("clear") + b"K\x01stb."


def safetensors_of(fields: object, data: bytes = b"", pad: int = 0) -> bytes:
    header = json.dumps(fields).encode()
    return struct.pack("<Q", len(header) + pad) + header + data


def tensor(begin: int, end: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as bundle:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        bundle.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def array(values: object, *, objects: bytes = b"") -> bytes:
    """An NPY file; with `objects` one of objects, whose pickle that is."""
    stream = io.BytesIO()
    if not objects:
        np.save(stream, np.asarray(values))
        return stream.getvalue()
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + objects


def legacy(state: bytes) -> bytes:
    """torch.save before it wrote zips: five pickles in a row, then raw numbers."""
    front = [pickle.dumps(value, protocol=2) for value in (TORCH_MAGIC, 1001, {"little_endian": True})]
    return b"".join([*front, state, pickle.dumps(["0"], protocol=2)]) + struct.pack("<Q", 4) + bytes(16)


def joblib_array(dtype: str, shape: tuple[int, ...], numbers: bytes, end: bytes) -> bytes:
    """`[array]` as joblib writes it: the array's numbers lie in the midst of the pickle."""
    wrapper = text("joblib.numpy_pickle") + text("NumpyArrayWrapper") + b"\x93)\x81}("
    dtype_code = b"cnumpy\ndtype\n(" + text(dtype) + b"\x89\x88tR"
    sizes = b"(" + b"".join(map(plain, shape)) + b"t"
    entries = text("subclass") + b"cnumpy\nndarray\n" + text("shape") + sizes + text("order") + text("C")
    entries += text("dtype") + dtype_code + text("allow_mmap") + b"\x88"
    entries += text("numpy_array_alignment_bytes") + b"K\x10"
    return b"\x80\x04](" + wrapper + entries + b"ub" + b"\x03\xff\xff\xff" + numbers + end


def gguf(entries: dict[str, str], tensors: int = 0) -> bytes:
    def name(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(entries))
    return head + b"".join(name(key) + struct.pack("<I", 8) + name(value) for key, value in entries.items())


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 1 << 14
    size = bytes([len(content) & 0x7F | 0x80, len(content) >> 7])
    return bytes([number << 3 | 2]) + size + content


def onnx(operator: str, location: str = "", domain: str = "") -> bytes:
    node = field(4, operator.encode()) + field(7, domain.encode())
    entry = field(1, b"location") + field(2, location.encode())
    graph = field(1, node) + (field(5, field(8, b"w") + field(13, entry)) if location else b"")
    return b"\x08\x07" + field(7, graph)


def hdf5(config: object) -> bytes:
    return b"\x89HDF\r\n\x1a\n" + bytes(504) + json.dumps(config).encode() + bytes(512)


def keras(layer: str, module: str = "keras.layers") -> bytes:
    config = {
        "module": "keras",
        "class_name": "Functional",
        "config": {"layers": [{"module": module, "class_name": layer}]},
    }
    return zipped(**{"config.json": json.dumps(config).encode(), "metadata.json": b"{}"})


def broken_crc() -> bytes:
    whole = torch_archive(call("os.system", "true"))
    return whole.replace(b"true", b"TRUE", 1)


def encrypted_flag() -> bytes:
    """The bit for encryption set in the table of contents alone: torch reads on, other readers stop."""
    whole = bytearray(torch_archive(call("os.system", "true")))
    at = whole.index(b"PK\x01\x02")
    whole[at + 8] |= 1
    return bytes(whole)


def bomb() -> bytes:
    return zipped(**{"data/0": bytes(300 << 20)})


def long_header() -> bytes:
    return struct.pack("<Q", 100_000_000) + b'{"a":' + b" " * 99_999_995


def name_twice() -> bytes:
    entry = json.dumps(tensor(0, 4))
    header = f'{{"a": {entry}, "a": {entry}}}'.encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


def archive_in_a_tensor() -> bytes:
    """Sound safetensors, and a sound zip of its last tensor's bytes."""
    hidden = torch_archive(PID)
    return safetensors_of({"a": tensor(0, len(hidden))}, hidden)


BAD: dict[str, Callable[[], bytes]] = {
    "system-protocol-0.pkl": lambda: call("os.system", "true", protocol=0),
    "system-protocol-2.bin": lambda: call("posix.system", "true"),
    "eval-protocol-4.pt": lambda: call("builtins.eval", "1", protocol=4),
    "exec-by-memo.ckpt": lambda: (
        b"\x80\x04"
        + text("exec")
        + b"\x94"
        + text("builtins")
        + b"\x940"
        + b"0h\x01h\x00\x93("
        + plain("1")
        + b"tR."
    ),
    "popen-in-archive.pt": lambda: torch_archive(inside(STATE, call("subprocess.Popen", "true"))),
    "import-module.pt": lambda: torch_archive(call("importlib.import_module", "this")),
    "run-code.pkl": lambda: call("runpy._run_code", "1"),
    "torch-hub.pth": lambda: torch_archive(call("torch.hub.load", "a/b", "c")),
    "pipepager.pkl": lambda: call("pydoc.pipepager", "x", "true"),
    "webbrowser.pkl": lambda: call("webbrowser.open", "http://localhost/", protocol=4),
    "pip.pkl": lambda: call("pip._internal.main", "list"),
    "certificate.pkl": lambda: call("ssl.get_server_certificate", "localhost"),
    "runstring.pkl": lambda: call("bdb.Bdb.run", "1", protocol=4),
    "own-class.pt": lambda: torch_archive(inside(STATE, call("plugin_own.Loader", "x"))),
    "getattr-chain.pkl": lambda: call("builtins.getattr", "x", "y"),
    "attrgetter.pkl": lambda: call("operator.attrgetter", "system"),
    "named.safetensors": lambda: call("os.getpid"),
    "broken-crc.pt": broken_crc,
    "encrypted-flag.pt": encrypted_flag,
    "legacy.pth": lambda: legacy(inside(STATE, call("os.system", "true"))),
    "breaks-off.pkl": lambda: call("os.system", "true")[:-1] + b"\xff\xff",
    "second-in-a-row.pkl": lambda: pickle.dumps(STATE) + call("os.system", "true"),
    "objects.npy": lambda: array(None, objects=PID),
    "objects.npz": lambda: zipped(**{"a.npy": array([1]), "b.npy": array(None, objects=PID)}),
    "compressed.joblib": lambda: zlib.compress(call("os.system", "true", protocol=4)),
    "bzip2.joblib": lambda: bz2.compress(call("os.system", "true", protocol=4)),
    "behind-the-array.joblib": lambda: joblib_array("f8", (4,), bytes(32), PID[2:-1] + b"0e."),
    "nested.pkl": lambda: call("torch.storage._load_from_bytes", call("os.system", "true")),
    "extension.pkl": lambda: _EXTENSION,
    "sets-attribute.pkl": lambda: _SETS_ATTRIBUTE,
    "torchscript.pt": lambda: torch_archive(
        tensors(), members={"code/__torch__/m.py": b"def forward(self): ...\n"}
    ),
    "lambda.keras": lambda: keras("Lambda"),
    "foreign-module.keras": lambda: keras("Layer", "subprocess"),
    "lambda.h5": lambda: hdf5({"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}),
    "long-header.safetensors": long_header,
    "overlap.safetensors": lambda: safetensors_of({"a": tensor(0, 4), "b": tensor(2, 6)}, bytes(6)),
    "out-of-range.safetensors": lambda: safetensors_of({"a": tensor(0, 400)}, bytes(4)),
    "twice.safetensors": name_twice,
    "bomb.safetensors": bomb,
    "with-an-archive.safetensors": lambda: GOOD + torch_archive(PID),
    "archive-in-a-tensor.safetensors": archive_in_a_tensor,
    "more-behind.safetensors": lambda: GOOD + b"#!/bin/sh\n",
    "template.gguf": lambda: gguf({"tokenizer.chat_template": "{{ ''.__class__.__mro__ }}"}),
    "lying-counts.gguf": lambda: gguf({"a": "b"}, tensors=1 << 40),
    "elsewhere.onnx": lambda: onnx("Add", "../../../etc/hostname"),
    "python-operator.onnx": lambda: onnx("PyOp"),
    "bundle.nemo": lambda: tarred("model_weights.ckpt", call("os.system", "true")),
    "unknown.ckpt": lambda: b"7z\xbc\xaf\x27\x1c" + bytes(60),
}

GOOD_FILES: dict[str, Callable[[], bytes]] = {
    "lora.safetensors": lambda: GOOD,
    "metadata.safetensors": lambda: safetensors.numpy.save(
        ARRAYS, metadata={"ss_tag_frequency": '{"eval": 1}'}
    ),
    "empty-tensor.safetensors": lambda: safetensors.numpy.save({"a": np.zeros((0, 4), np.float32)}),
    "state-dict.pt": lambda: torch_archive(tensors()),
    "state-dict.bin": lambda: torch_archive(tensors(("unet.weight", "os.system")), top="pytorch_model"),
    "legacy.pth": lambda: legacy(tensors()),
    "textual-inversion.pt": lambda: torch_archive(
        tensors(("*",)), members={".data/serialization_id": b"1" * 40}
    ),
    "lightning.ckpt": lambda: torch_archive(
        inside(STATE, b"\x80\x02cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n.")
    ),
    "settings.pkl": lambda: pickle.dumps({"steps": 28, "names": ["a", "b"], "eval": b"exec"}),
    "numbers.pkl": lambda: pickle.dumps({"a": np.arange(6, dtype=np.float32)}, protocol=4),
    "dictionary.joblib": lambda: zlib.compress(pickle.dumps({"classes": [1, 2, 3]}, protocol=4)),
    "array.joblib": lambda: joblib_array("f8", (4,), b"cos\nsystem\n" + bytes(21), b"e."),
    "array.npy": lambda: array(np.arange(9.0)),
    "arrays.npz": lambda: zipped(**{"a.npy": array([1, 2]), "b.npy": array([b"cos"])}),
    "plain.keras": lambda: keras("Dense"),
    "plain.h5": lambda: hdf5({"class_name": "Dense"}),
    "plain.gguf": lambda: gguf(
        {"tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}
    ),
    "plain.onnx": lambda: onnx("Add", "weights.bin"),
    "README.md": lambda: b"Call os.system? No. Load with safetensors.\n",
    "merges.txt.gz": lambda: b"\x1f\x8b" + __import__("gzip").compress(b"i n\nt h\n" * 50)[2:],
}


def write(folder: Path) -> tuple[Path, Path]:
    """Writes all of them into `bad/` and `good/` below a folder."""
    places = folder / "bad", folder / "good"
    for place, cases in zip(places, (BAD, GOOD_FILES), strict=True):
        place.mkdir(parents=True, exist_ok=True)
        for name, make in cases.items():
            (place / name).write_bytes(make())
    return places
