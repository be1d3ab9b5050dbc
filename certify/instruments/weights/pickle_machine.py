"""An abstract pickle machine: it follows the opcodes of a pickle and only records the names that it imports.

It has a stack and a memo, and calls nothing. Opcodes: CPython, Lib/pickletools.py. Arrays that joblib writes
into the stream: joblib/numpy_pickle.py.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from dataclasses import dataclass, field
from math import prod
from typing import IO, Any

MAX_STEPS = 2_000_000
MAX_LINE = 1 << 20
MAX_ARGUMENT = 1 << 20

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_NESTED = "torch.storage._load_from_bytes"
_PUSHES_ARGUMENT = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "PERSID"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    }
)
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_POPS = {"POP": 1, "APPEND": 1, "SETITEM": 2}


class PickleTraceError(Exception):
    """The program can't be followed to its end; the message says why."""


@dataclass(frozen=True)
class Name:
    """An imported name."""

    text: str


@dataclass
class CallResult:
    """The result of a call that was not made."""

    of: Any
    arguments: Any
    state: Any = None


class _Mark:
    pass


@dataclass
class Reading:
    """The names in consecutive pickles; `error` says why they could not be followed to the end."""

    names: set[str] = field(default_factory=set)
    pickles: int = 0
    steps: int = 0
    calls: int = 0
    built: int = 0
    error: str = ""
    trailing: bool = False
    nested: list[bytes] = field(default_factory=list)


class SkippedArgument(bytes):
    """A placeholder for a long argument: its length without its bytes."""

    length: int

    def __len__(self) -> int:
        return self.length


class Window:
    """A stream as pickletools reads it, with bounds on lines and arguments."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._size = stream, size

    def read(self, count: int) -> bytes:
        if count <= MAX_ARGUMENT:
            return self._stream.read(count)
        if self.tell() + count > self._size:
            return b""
        self.skip(count)
        skipped = SkippedArgument()
        skipped.length = count
        return skipped

    def readline(self) -> bytes:
        return self._stream.readline(MAX_LINE)

    def tell(self) -> int:
        return self._stream.tell()

    def skip(self, count: int) -> None:
        if count < 0 or self.tell() + count > self._size:
            raise PickleTraceError("it ends inside an array")
        self._stream.seek(count, io.SEEK_CUR)

    @property
    def left(self) -> int:
        return self._size - self.tell()


def run(window: Window, reading: Reading, most: int = MAX_STEPS) -> Any:
    """Follows a pickle from its first opcode to STOP; returns the top of the stack.

    Raises PickleTraceError if it breaks off or has over `most` opcodes; `reading` keeps what came before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about escapes in a text are not our output
        return _follow(window, reading, most)


def _follow(window: Window, reading: Reading, most: int) -> Any:
    machine = _Machine(window, reading)
    try:
        for code, argument, _ in pickletools.genops(window):  # type: ignore[arg-type]
            reading.steps += 1
            if reading.steps > most:
                raise PickleTraceError(f"it has more than {most:,} opcodes")
            if code.name == "STOP":
                reading.built += machine.built
                return machine.stack[-1] if machine.stack else None
            machine.step(code.name, argument)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError, AttributeError, MemoryError) as error:
        raise PickleTraceError(f"it breaks off ({str(error)[:80] or type(error).__name__})") from None
    raise PickleTraceError("it has no end")


class _Machine:
    """A stack and a memo; nothing is imported or called."""

    def __init__(self, window: Window, reading: Reading) -> None:
        self.stack: list[Any] = []
        self.built = 0
        self._memo: dict[int, Any] = {}
        self._window, self._reading = window, reading

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHES_ARGUMENT:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _POPS:
            del self.stack[-_POPS[name] :]
        elif name not in ("PROTO", "FRAME"):
            getattr(self, "_" + name.lower())(argument)

    def _import(self, module: Any, name: Any) -> None:
        known = isinstance(module, str) and isinstance(name, str)
        text = f"{module}.{name}" if known else "a computed name"
        self._reading.names.add(text)
        self.built = 1
        self.stack.append(Name(text))

    def _call(self, made: CallResult) -> None:
        self._reading.calls += 1
        if made.of == Name(_NESTED) and isinstance(made.arguments, tuple) and len(made.arguments) == 1:
            data = made.arguments[0]
            if isinstance(data, SkippedArgument) or not isinstance(data, bytes):
                raise PickleTraceError("a pickle inside it is too large")
            self._reading.nested.append(data)
        self.stack.append(made)

    def _from_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while not isinstance(self.stack[at], _Mark):
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    # Opcodes, by their names in pickletools.

    def _global(self, argument: str) -> None:
        self._import(*argument.split(" ", 1))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._import(module, name)

    def _inst(self, argument: str) -> None:
        arguments = self._from_mark()
        self._import(*argument.split(" ", 1))
        self._call(CallResult(self.stack.pop(), tuple(arguments)))

    def _obj(self, _: Any) -> None:
        kind, *arguments = self._from_mark()
        self._call(CallResult(kind, tuple(arguments)))

    def _reduce(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self._call(CallResult(called, arguments))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        words, arguments, kind = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._call(CallResult(kind, (arguments, words)))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        self._reading.calls += 1
        made = self.stack[-1]
        if isinstance(made, Name):
            raise PickleTraceError(f"it changes {made.text[:80]}, which it imports")
        if isinstance(made, CallResult):
            made.state = state
            if made.of == Name(_WRAPPER):
                self._skip_array(state)

    def _skip_array(self, state: Any) -> None:
        """Skips the numbers that joblib writes into the stream after the description of an array."""
        dtype, shape = state["dtype"], state["shape"]
        code = dtype.arguments[0] if isinstance(dtype, CallResult) and dtype.of == Name("numpy.dtype") else ""
        match = re.fullmatch(r"[<>=|]?([a-zA-Z])(\d+)", code)
        if not match or match.group(1) in "OV" or not all(isinstance(size, int) for size in shape):
            raise PickleTraceError("it holds an array of objects")
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self._window.read(1)
            self._window.skip(padding[0] if padding else 0)
        width = int(match.group(2)) * (4 if match.group(1) == "U" else 1)
        self._window.skip(prod(shape) * width)

    def _ext1(self, _: Any) -> None:
        self._reading.names.add("copyreg.extension")
        raise PickleTraceError("it uses the extension registry")

    _ext2 = _ext4 = _ext1

    def _mark(self, _: Any) -> None:
        self.stack.append(_Mark())

    def _empty_list(self, _: Any) -> None:
        self.built = 1
        self.stack.append([])

    def _empty_dict(self, _: Any) -> None:
        self.built = 1
        self.stack.append({})

    _empty_set = _empty_list

    def _list(self, _: Any) -> None:
        self._from_mark()
        self._empty_list(None)

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        items = self._from_mark()
        self.stack.append(_small(items))
        self.built = 1

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._from_mark()))

    def _tuple1(self, _: Any) -> None:
        self.stack.append((self.stack.pop(),))

    def _tuple2(self, _: Any) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def _tuple3(self, _: Any) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def _appends(self, _: Any) -> None:
        self._from_mark()

    _additems = _pop_mark = _appends

    def _setitems(self, _: Any) -> None:
        items = self._from_mark()
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(_small(items))

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _get(self, argument: int) -> None:
        self.stack.append(self._memo[int(argument)])

    _binget = _long_binget = _get

    def _put(self, argument: int) -> None:
        self._memo[int(argument)] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def _binpersid(self, _: Any) -> None:
        self.stack[-1] = "persistent"

    def _next_buffer(self, _: Any) -> None:
        self.stack.append(b"")

    def _readonly_buffer(self, _: Any) -> None:
        pass


def _small(items: list[Any]) -> dict[str, Any]:
    """The entries of a short table with text keys: enough for the states that are read."""
    pairs = zip(items[0:128:2], items[1:128:2], strict=False)
    return {key: value for key, value in pairs if isinstance(key, str)}
