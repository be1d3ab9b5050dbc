"""Pickles read as programs, never run: the names that they import, and whether tensors need these names.

A pickle is a program that may import and call anything. Loading it means trusting every name in it. So the
names are checked against a list of those that tensors need, and a pickle that can't be followed is not
allowed.

Tensors' own names: torch/_weights_only_unpickler.py.
"""

from __future__ import annotations

import io
import re
from typing import IO

from .pickle_machine import MAX_ARGUMENT, PickleTraceError, Reading, Window, run

MAX_PICKLES = 1000  # in a row
MAX_NESTED = 3
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_PICKLES = 5  # magic, protocol, system, state, keys; raw numbers follow
_FEW_STEPS, _SOME_STEPS = (
    3,
    50_000,
)  # enough to recognise a pickle with its protocol mark, and a pickle without

_DTYPES = (
    "float16|float32|float64|half|float|double|bfloat16|u?int(8|16|32|64)|short|long|bool|complex(32|64|128)"
    "|float8_\\w+"
)
_STORAGES = (
    "(Double|Float|Half|Long|Int|Short|Char|Byte|Bool|BFloat16|ComplexDouble|ComplexFloat|Untyped)Storage"
)
ALLOWED = re.compile(
    r"collections\.(OrderedDict|defaultdict|Counter)"
    r"|(builtins|__builtin__)\.(set|frozenset|slice|complex|bytearray|range|list|dict|tuple|int|float|str|bytes|bool|object)"
    r"|_codecs\.encode|copyreg\._reconstructor|copy_reg\._reconstructor"
    rf"|torch\.({_DTYPES}|{_STORAGES}|Size|device|Tensor|nn\.parameter\.(Parameter|Buffer)|nn\.Parameter)"
    rf"|torch\.storage\.(TypedStorage|UntypedStorage|_TypedStorage|_load_from_bytes)|torch\.cuda\.{_STORAGES}"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state|qtensor|sparse_tensor|meta_tensor_no_storage)"
    r"|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|numpy\.(ndarray|dtype|dtypes\.\w+DType)|numpy\.(_?core\.multiarray\.(_reconstruct|scalar)|_?core\.numeric\._frombuffer)"
    r"|numpy\.(bool_?|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|str_)"
    r"|joblib\.numpy_pickle\.NumpyArrayWrapper"
    r"|(pytorch_lightning|lightning\.pytorch)\.callbacks\.model_checkpoint\.ModelCheckpoint"
    r"|datetime\.(datetime|date|timedelta)|argparse\.Namespace|pathlib\.(PurePosixPath|PosixPath|PureWindowsPath|WindowsPath)"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*")


def refused(reading: Reading) -> list[str]:
    """The names that a pickle imports and that tensors do not need."""
    return sorted(name for name in reading.names if not ALLOWED.fullmatch(name))


def read_pickles(stream: IO[bytes], size: int, nested: int = MAX_NESTED) -> Reading:
    """Follows consecutive pickles from the stream's position to its end (`size` bytes in all)."""
    window, reading = Window(stream, size), Reading()
    try:
        while window.left and reading.pickles < MAX_PICKLES:
            begin = window.tell()
            result = run(window, reading)
            reading.pickles += 1
            if result == TORCH_MAGIC and reading.pickles == 1:
                for _ in range(_TORCH_PICKLES - 1):
                    run(window, reading)
                return _with_nested(reading, nested)
            if window.left and not is_pickle(stream, size):
                # Padding is allowed; any other data is not.
                reading.trailing = bool(stream.read(MAX_ARGUMENT).strip(b"\0\n "))
                break
            if window.tell() == begin:
                break
    except PickleTraceError as error:
        reading.error = str(error)
    return _with_nested(reading, nested)


def _with_nested(reading: Reading, nested: int) -> Reading:
    for data in reading.nested:
        inner = read_pickles(io.BytesIO(data), len(data), nested - 1) if nested else Reading(error="too deep")
        reading.names |= inner.names
        reading.error = reading.error or inner.error
    reading.nested = []
    return reading


def is_pickle(stream: IO[bytes], size: int) -> bool:
    """Whether a pickle begins at the stream's position, which is kept; `size` is that of the whole stream.

    Its opcodes decide, because protocols 0 and 1 have no mark.
    """
    at = stream.tell()
    head = stream.read(2)
    stream.seek(at)
    marked = len(head) == 2 and head[0] == 0x80 and head[1] <= 5
    window, reading = Window(stream, size), Reading()
    try:
        run(window, reading, _FEW_STEPS if marked else _SOME_STEPS)
        ended, at_end = True, not window.left
    except PickleTraceError:
        ended = at_end = False
    stream.seek(at)
    named = any(all(map(_IDENTIFIER.fullmatch, name.rsplit(".", 1))) for name in reading.names)
    if marked:
        return ended or reading.steps >= _FEW_STEPS or named
    return (ended and reading.built > 0 and (named or at_end)) or (named and reading.calls > 0)
