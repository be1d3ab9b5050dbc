"""`setup.py` and `setup.cfg`, read without running anything: the literal values that a package declares.

Keywords: setuptools' user guide, "Keywords". Computed values are named, never guessed.
"""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from dataclasses import dataclass, field

from certify.instruments.code.source import Source, parse_source

# Keywords with requirements; setuptools dropped the last, but older versions still support them.
LISTS = ("install_requires", "setup_requires", "tests_require", "dependency_links")
_TABLES = ("extras_require",)
_MAKERS = ("setuptools.setup", "distutils.core.setup", "setuptools.core.setup")


@dataclass(frozen=True)
class Setup:
    """`requirements` and `links` with their lines; `computed` names the keywords whose values need a run
    of the script.
    """

    requirements: tuple[tuple[str, int], ...] = ()
    links: tuple[tuple[str, int], ...] = ()
    computed: tuple[tuple[str, int], ...] = ()
    problem: str = ""


@dataclass
class _SetupLists:
    requirements: list[tuple[str, int]] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)
    computed: list[tuple[str, int]] = field(default_factory=list)


def read_setup_script(data: bytes, file: str) -> Setup:
    """The declarations in calls of `setup()`; `problem` says why a script can't be read."""
    source = parse_source(data, file)
    if not isinstance(source, Source):
        return Setup(problem=source.message)
    lists = _SetupLists()
    values = dict(_constants(source.tree))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and source.dotted(node.func) in _MAKERS:
            for keyword in node.keywords:
                _take(keyword, values, lists)
    return Setup(tuple(lists.requirements), tuple(lists.links), tuple(lists.computed))


def read_setup_config(text: str) -> Setup:
    """`[options] install_requires` and related options; `file:` names a file that is read separately."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        return Setup(problem=str(error).splitlines()[0])
    rows = [(name, parser.get("options", name, fallback="")) for name in LISTS]
    if parser.has_section("options.extras_require"):
        rows += parser.items("options.extras_require")
    lists = _SetupLists()
    for name, value in rows:
        for row in filter(None, map(str.strip, value.splitlines() if "\n" in value else value.split(";"))):
            if not row.startswith("file:"):
                (lists.links if name == "dependency_links" else lists.requirements).append((row, 0))
    return Setup(tuple(lists.requirements), tuple(lists.links))


def _take(keyword: ast.keyword, values: dict[str, ast.expr], lists: _SetupLists) -> None:
    if keyword.arg is None:
        inner = _resolved(keyword.value, values)
        if not isinstance(inner, ast.Dict):
            lists.computed.append(("**", keyword.value.lineno))
            return
        for key, value in zip(inner.keys, inner.values, strict=True):
            name = key.value if isinstance(key, ast.Constant) else None
            if isinstance(name, str):
                _take(ast.keyword(name, value), values, lists)
            else:
                lists.computed.append(("**", value.lineno))
    elif keyword.arg in (*LISTS, *_TABLES):
        try:
            rows = list(_rows(keyword.value, values))
        except ValueError:
            lists.computed.append((keyword.arg, keyword.value.lineno))
            return
        (lists.links if keyword.arg == "dependency_links" else lists.requirements).extend(rows)


def _rows(node: ast.expr, values: dict[str, ast.expr], depth: int = 0) -> Iterator[tuple[str, int]]:
    """The texts of a list, of a table of lists, of sums of lists. Raises ValueError for anything else."""
    node = _resolved(node, values)
    if depth > 8:
        raise ValueError
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        for number, row in enumerate(node.value.splitlines()):
            if row.strip():
                yield row.strip(), node.lineno + number
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        for part in node.elts:
            yield from _rows(part.value if isinstance(part, ast.Starred) else part, values, depth + 1)
    elif isinstance(node, ast.Dict):
        for part in node.values:
            yield from _rows(part, values, depth + 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for part in (node.left, node.right):
            yield from _rows(part, values, depth + 1)
    elif not (isinstance(node, ast.Constant) and node.value is None):
        raise ValueError


def _resolved(node: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    return values.get(node.id, node) if isinstance(node, ast.Name) else node


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names that are bound once in the script, by a plain assignment, and never changed in place."""
    touched: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            touched[node.id] = touched.get(node.id, 0) + 1
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.value, ast.Name):
            # `requires.append(...)`, `requires[0] = ...`
            touched[node.value.id] = 2
    for row in tree.body:
        if isinstance(row, ast.Assign) and len(row.targets) == 1 and isinstance(row.targets[0], ast.Name):
            name = row.targets[0].id
            if touched[name] == 1:
                yield name, row.value
