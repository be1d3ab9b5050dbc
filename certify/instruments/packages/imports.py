"""The modules of a package that are loaded on every system: the imports of its entry point, recursively.

Imports under a platform check (`if os.name == "nt"`, `try`) do not count, nor do tests and tools that nothing
imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from certify.instruments.code.source import Source

_PLATFORM_QUERIES = (
    *("sys.platform", "os.name", "os.uname", "platform.system", "platform.platform"),
    *("typing.TYPE_CHECKING", "importlib.util.find_spec"),
)
# Names of imported platform flags: IS_WINDOWS, on_linux, POSIX.
_PLATFORM_FLAG = re.compile(
    r"(is|on|has)?_?(win(dows|32)?|nt|posix|linux|unix|darwin|mac(os)?)", re.IGNORECASE
)
_IMPORTERS = ("importlib.import_module", "importlib.__import__", "__import__")


def loaded(sources: Sequence[Source], entries: Sequence[str]) -> set[str]:
    """The files among `sources` that an import of `entries` (dotted modules) loads on every system.

    All files if an entry is not among them, or if a loaded module imports a computed name.
    """
    modules = {_module(source.file): source for source in sources}
    everything = {source.file for source in sources}
    if not entries or not all(entry in modules for entry in entries):
        return everything
    waiting = [name for entry in entries for name in _with_parents(entry)]
    reached: dict[str, Source] = {}
    while waiting:
        name = waiting.pop()
        source = modules.get(name)
        if source is None or name in reached:
            continue
        reached[name] = source
        for target in _targets(source, name):
            if target is None:
                return everything
            waiting += _with_parents(target)
    return {source.file for source in reached.values()}


def unguarded(source: Source, functions: bool = False) -> Iterator[ast.stmt]:
    """The statements that run on every system when the module is imported; with `functions` those in
    functions too.
    """
    flags = _flags(source)
    waiting: list[ast.AST] = list(source.tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not functions:
            continue
        if isinstance(node, ast.stmt):
            if _guards(source, node, flags):
                continue
            yield node
        inner = (ast.stmt, ast.ExceptHandler, ast.match_case)
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, inner)]


def _module(file: str) -> str:
    path = PurePosixPath(file).with_suffix("")
    return ".".join(path.parts[:-1] if path.name == "__init__" else path.parts)


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _targets(source: Source, name: str) -> Iterator[str | None]:
    """The modules that a source imports on every system; None for a computed name."""
    for node in unguarded(source, functions=True):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _start(source, name, node)
            yield start
            # A name that is imported from a package may be a module.
            yield from (f"{start}.{alias.name}".strip(".") for alias in node.names)
        else:
            yield from _dynamic_imports(source, name, node)


def _start(source: Source, name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    up = node.level - source.file.endswith("__init__.py")
    parts = name.split(".")
    parts = parts[: len(parts) - up] if up else parts
    return ".".join([*parts, *filter(None, [node.module])])


def _dynamic_imports(source: Source, name: str, node: ast.stmt) -> Iterator[str | None]:
    """`importlib.import_module(...)` in a statement, but not in the statements inside it."""
    own = (
        part
        for child in ast.iter_child_nodes(node)
        if isinstance(child, ast.expr)
        for part in ast.walk(child)
    )
    for call in own:
        if isinstance(call, ast.Call) and source.dotted(call.func) in _IMPORTERS:
            first = call.args[0] if call.args else None
            written = isinstance(first, ast.Constant) and isinstance(first.value, str)
            text = str(first.value) if written and isinstance(first, ast.Constant) else ""
            package = name if source.file.endswith("__init__.py") else name.rpartition(".")[0]
            yield (package + text if text.startswith(".") else text) or None


def _flags(source: Source) -> set[str]:
    """The names that a module binds to a platform check: `WINDOWS = sys.platform == "win32"`."""
    flags: set[str] = set()
    for node in source.tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if value is not None and _checks_platform(source, value, flags):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            flags |= {target.id for target in targets if isinstance(target, ast.Name)}
    return flags


def _guards(source: Source, node: ast.stmt, flags: set[str]) -> bool:
    if isinstance(node, ast.Try):
        return bool(node.handlers)
    if isinstance(node, ast.If):
        return _checks_platform(source, node.test, flags)
    if isinstance(node, ast.Match):
        return _checks_platform(source, node.subject, flags)
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        return any(source.dotted(call.func) == "contextlib.suppress" for call in calls)
    return False


def _checks_platform(source: Source, test: ast.expr | None, flags: set[str]) -> bool:
    for part in ast.walk(test) if test is not None else ():
        if not isinstance(part, (ast.Name, ast.Attribute)):
            continue
        last = part.attr if isinstance(part, ast.Attribute) else part.id
        if (
            source.dotted(part) in _PLATFORM_QUERIES
            or last in flags
            or _PLATFORM_FLAG.fullmatch(last)
            or last == "hasattr"
        ):
            return True
    return False
