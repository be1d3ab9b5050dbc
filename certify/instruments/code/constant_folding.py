"""Constant folding: the value of an expression, without running it. It covers enough Python to read names and
payloads that are put together from pieces.

An unknown value is None, never a guess. Steps and sizes are bounded, so the length of a source bounds its
cost.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from .decoding import CODECS, DECODERS, MAX_BYTES, decode

Value: TypeAlias = "str | bytes | int | list[Value]"

MAX_DEPTH = 60
MAX_STEPS = 400_000  # of one source
MAX_ITEMS = 1 << 17

_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Sub: operator.sub,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.FloorDiv: operator.floordiv,
}
_TEXT_METHODS = (
    "lower",
    "upper",
    "strip",
    "lstrip",
    "rstrip",
    "swapcase",
    "title",
    "replace",
    "removeprefix",
)


class Folder:
    """Folds the expressions of a source. `bound` gives the value of a name, `dotted` the name of a callee."""

    def __init__(
        self, bound: Callable[[ast.Name], ast.expr | None], dotted: Callable[[ast.expr], str]
    ) -> None:
        self._bound = bound
        self._dotted = dotted
        self._steps = MAX_STEPS
        self._depth = 0
        self._local: list[dict[str, Value]] = []
        self._known: dict[int, Value | None] = {}

    def fold(self, node: ast.expr | None) -> Value | None:
        """The value, or None where it isn't known."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, (str, bytes, int)) else None
        if node is None or self._depth >= MAX_DEPTH or self._steps <= 0:
            return None
        if not self._local and id(node) in self._known:
            return self._known[id(node)]
        self._steps -= 1
        self._depth += 1
        value: Value | None
        try:
            value = self._folded(node)
        except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError, ZeroDivisionError):
            value = None
        finally:
            self._depth -= 1
        if value is not None and not isinstance(value, int) and len(value) > MAX_BYTES:
            value = None
        if not self._local:
            self._known[id(node)] = value
        return value

    @property
    def is_exhausted(self) -> bool:
        """Whether the step limit was reached, so that values may be unknown for that reason alone."""
        return self._steps <= 0

    def text(self, node: ast.expr | None) -> str | None:
        """The value as text, where it is text or UTF-8."""
        value = self.fold(node)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return value if isinstance(value, str) else None

    def _folded(self, node: ast.expr) -> Value | None:
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.BinOp):
            return self._chain(node)
        if isinstance(node, ast.JoinedStr):
            return self._joined([self._piece(part) for part in node.values])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.fold(node.operand)
            return -value if isinstance(value, int) else None
        if isinstance(node, (ast.List, ast.Tuple)):
            return self._all(self.fold(part) for part in node.elts)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return self._comprehension(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        return None

    def _name(self, node: ast.Name) -> Value | None:
        for scope in reversed(self._local):
            if node.id in scope:
                return scope[node.id]
        return self.fold(self._bound(node))

    def _chain(self, node: ast.BinOp) -> Value | None:
        """An operation, where a chain of them (`a + b + c ...`) costs no depth."""
        chain = [node]
        while isinstance(chain[-1].left, ast.BinOp) and len(chain) < MAX_ITEMS:
            chain.append(chain[-1].left)
        value = self.fold(chain[-1].left)
        for link in reversed(chain):
            self._steps -= 1
            if value is None or (isinstance(value, (str, bytes, list)) and len(value) > MAX_BYTES):
                return None
            value = self._operation(link.op, value, self.fold(link.right))
        return value

    def _piece(self, part: ast.expr) -> Value | None:
        if isinstance(part, ast.FormattedValue):
            value = self.fold(part.value)
            plain = part.format_spec is None and isinstance(value, (str, int))
            return str(value) if plain else None
        return self.fold(part)

    @staticmethod
    def _all(values: Iterator[Value | None]) -> list[Value] | None:
        gathered: list[Value] = []
        for value in values:
            if value is None or len(gathered) > MAX_ITEMS:
                return None
            gathered.append(value)
        return gathered

    @staticmethod
    def _joined(parts: list[Value | None], between: str = "") -> str | None:
        return between.join(part for part in parts if isinstance(part, str)) if _texts(parts) else None

    @staticmethod
    def _operation(op: ast.operator, left: Value | None, right: Value | None) -> Value | None:
        if left is None or right is None:
            return None
        if isinstance(op, ast.Add) and type(left) is type(right):
            return left + right  # type: ignore[operator]
        if isinstance(op, ast.Mult):
            many, few = (right, left) if isinstance(left, int) else (left, right)
            size = many.bit_length() if isinstance(many, int) else len(many)
            return many * few if isinstance(few, int) and size * abs(few) <= MAX_BYTES else None
        if isinstance(op, ast.Mod) and isinstance(left, str):
            return _formatted(left, right)
        if isinstance(op, ast.Mod) and isinstance(left, int) and isinstance(right, int):
            return left % right
        function = _ARITHMETIC.get(type(op))
        return (
            function(left, right) if function and isinstance(left, int) and isinstance(right, int) else None
        )

    def _subscript(self, node: ast.Subscript) -> Value | None:
        value = self.fold(node.value)
        if value is None or isinstance(value, int):
            return None
        if isinstance(node.slice, ast.Slice):
            bounds: list[Any] = []
            for part in (node.slice.lower, node.slice.upper, node.slice.step):
                bound = self.fold(part)
                if part is not None and not isinstance(bound, int):
                    return None
                bounds.append(bound)
            return value[slice(*bounds)]
        index = self.fold(node.slice)
        return value[index] if isinstance(index, int) else None

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Value | None:
        """`[chr(code ^ 7) for code in codes]`: a single loop without a condition."""
        loop = node.generators[0]
        if len(node.generators) > 1 or loop.ifs or not isinstance(loop.target, ast.Name):
            return None
        items = self.fold(loop.iter)
        if items is None or isinstance(items, int):
            return None
        values: list[Value | None] = []
        for item in items:
            self._local.append({loop.target.id: item})
            values.append(self.fold(node.elt))
            self._local.pop()
            if values[-1] is None:
                return None
        return self._all(iter(values))

    def _call(self, node: ast.Call) -> Value | None:
        name = self._dotted(node.func)
        first = self.fold(node.args[0]) if node.args else None
        if name in DECODERS:
            return decode(DECODERS[name], first) if isinstance(first, (str, bytes)) else None
        if name in ("codecs.decode", "codecs.encode"):
            return self._recoded(first, self._argument(node, 1, "encoding"))
        if name in _BUILTINS:
            return _BUILTINS[name](self, node, first)
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, first)
        return None

    def _argument(self, node: ast.Call, place: int, keyword: str) -> Value | None:
        if len(node.args) > place:
            return self.fold(node.args[place])
        return next((self.fold(word.value) for word in node.keywords if word.arg == keyword), None)

    @staticmethod
    def _recoded(data: Value | None, encoding: Value | None) -> Value | None:
        if not isinstance(data, (str, bytes)) or not isinstance(encoding, str):
            return None
        decoder = CODECS.get(encoding.lower().replace("_", "-"))
        if decoder is None:
            return _between(data, encoding)
        value = decode(decoder, data)
        return value.decode("utf-8", "replace") if value is not None and isinstance(data, str) else value

    def _method(self, node: ast.Call, called: ast.Attribute, first: Value | None) -> Value | None:
        owner = self.fold(called.value)
        method = called.attr
        if isinstance(owner, int) and method == "to_bytes" and isinstance(first, int):
            order = self._argument(node, 1, "byteorder")
            return owner.to_bytes(min(first, MAX_BYTES), "little" if order == "little" else "big")
        if isinstance(owner, (str, bytes)):
            if method in ("decode", "encode"):
                encoding = first if isinstance(first, str) else "utf-8"
                recoded = CODECS.get(encoding.lower().replace("_", "-"))
                return decode(recoded, owner) if recoded else _between(owner, encoding)
            if method == "join" and isinstance(first, list):
                return _join(owner, first)
            arguments = [self.fold(argument) for argument in node.args]
            if method in _TEXT_METHODS and all(type(value) is type(owner) for value in arguments):
                return getattr(owner, method)(*arguments)  # type: ignore[no-any-return]
            if method == "split" and all(type(value) is type(owner) for value in arguments):
                return list(owner.split(*arguments))  # type: ignore[arg-type]
            if method == "format" and isinstance(owner, str) and not node.keywords:
                return _braced(owner, arguments)
            if method == "hex" and isinstance(owner, bytes) and not arguments:
                return owner.hex()
        return None

    def _mapped(self, node: ast.Call, first: Value | None) -> Value | None:
        """`map(chr, codes)`."""
        if len(node.args) != 2 or self._dotted(node.args[0]) not in ("chr", "str", "int", "ord"):
            return None
        items = self.fold(node.args[1])
        if items is None or isinstance(items, int):
            return None
        functions: dict[str, Callable[..., Value]] = {"chr": chr, "str": str, "int": int, "ord": ord}
        function = functions[self._dotted(node.args[0])]
        return [function(item) for item in items]

    def _text_of(self, node: ast.Call, first: Value | None) -> Value | None:
        if isinstance(first, bytes) and len(node.args) + len(node.keywords) > 1:
            return _between(first, str(self._argument(node, 1, "encoding") or "utf-8"))
        return str(first) if isinstance(first, (str, int)) else None

    def _bytes_of(self, node: ast.Call, first: Value | None) -> Value | None:
        if isinstance(first, str):
            return first.encode(str(self._argument(node, 1, "encoding") or "utf-8"))
        return bytes(first) if isinstance(first, (list, bytes)) else None  # type: ignore[arg-type]


_BUILTINS: dict[str, Callable[[Folder, ast.Call, Value | None], Value | None]] = {
    "chr": lambda folder, node, first: chr(first) if isinstance(first, int) else None,
    "ord": lambda folder, node, first: ord(first) if isinstance(first, (str, bytes)) else None,
    "int": lambda folder, node, first: int(first) if isinstance(first, (str, int)) else None,
    "str": Folder._text_of,
    "bytes": Folder._bytes_of,
    "bytearray": Folder._bytes_of,
    "map": Folder._mapped,
    "list": lambda folder, node, first: None if first is None or isinstance(first, int) else list(first),
    "tuple": lambda folder, node, first: None if first is None or isinstance(first, int) else list(first),
    "reversed": lambda folder, node, first: (
        None if first is None or isinstance(first, int) else list(reversed(first))
    ),
}


def _texts(parts: list[Value | None]) -> bool:
    return all(isinstance(part, str) for part in parts)


def _join(between: str | bytes, parts: list[Value]) -> Value | None:
    if isinstance(between, str):
        return between.join(part for part in parts if isinstance(part, str)) if _texts([*parts]) else None
    pieces = [part for part in parts if isinstance(part, bytes)]
    return between.join(pieces) if len(pieces) == len(parts) else None


def _formatted(form: str, values: Value) -> str | None:
    """`"%s%s" % ("ex", "ec")`, for plain fields only: a width could need gigabytes."""
    given = values if isinstance(values, list) else [values]
    pieces = form.split("%s")
    if len(pieces) != len(given) + 1 or "%" in "".join(pieces):
        return None
    return pieces[0] + "".join(str(value) + piece for value, piece in zip(given, pieces[1:], strict=True))


def _braced(form: str, values: list[Value | None]) -> str | None:
    pieces = form.split("{}")
    if len(pieces) != len(values) + 1 or None in values or any(mark in "".join(pieces) for mark in "{}"):
        numbered = form
        for index, value in enumerate(values):
            numbered = numbered.replace(f"{{{index}}}", str(value))
        return None if None in values or "{" in numbered else numbered
    return pieces[0] + "".join(str(value) + piece for value, piece in zip(values, pieces[1:], strict=True))


def _between(value: str | bytes, encoding: str) -> str | bytes | None:
    """Converts between bytes and text, by a text encoding."""
    if encoding.lower().replace("_", "-") not in _ENCODINGS:
        return None
    return (
        value.decode(encoding, "replace") if isinstance(value, bytes) else value.encode(encoding, "replace")
    )


_ENCODINGS = ("utf-8", "utf8", "ascii", "latin-1", "latin1", "iso-8859-1", "utf-16", "utf-16-le", "cp1252")
