"""Reads untrusted Python sources, for instruments that work on syntax trees."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from certify.instruments.findings import Finding
from certify.text import safe

MAX_SOURCE_BYTES = 4 << 20


@dataclass(frozen=True)
class Source:
    """A parsed source."""

    file: str
    tree: ast.Module
    text: str = field(default="", repr=False)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree, outer before inner."""
        return walk(self.tree)

    @cached_property
    def names(self) -> dict[str, str]:
        """What its imports bind, to the dotted name behind it (`np` -> `numpy`)."""
        return _imported(self.nodes)

    def dotted(self, node: ast.expr) -> str:
        """`sp.run` as `subprocess.run` where `sp` is imported so; empty for what is no dotted name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])

    def finding(self, node: ast.stmt | ast.expr, rule: str, message: str) -> Finding:
        return Finding(self.file, node.lineno, rule, message, snippet=self.snippet(node.lineno))

    def snippet(self, line: int) -> str:
        """The text of this line (from 1), safe to show; empty if there is no such line."""
        lines = self._lines
        return safe(lines[line - 1]) if 0 < line <= len(lines) else ""

    def segment(self, node: ast.expr) -> str:
        """The text of a single-line expression; empty if it spans several lines."""
        lines = self._lines
        if node.end_lineno != node.lineno or node.lineno > len(lines):
            return ""
        line = lines[node.lineno - 1].encode("utf-8", "surrogatepass")
        return line[node.col_offset : node.end_col_offset].decode("utf-8", "replace")

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")


def read_sources(root: Path, files: Iterable[str]) -> tuple[list[Source], list[Finding]]:
    """The parsed `.py` files among `files` (relative to `root`), and a finding for each that could not be
    parsed.
    """
    sources: list[Source] = []
    findings: list[Finding] = []
    for file in files:
        if file.endswith((".py", ".pyw")):
            read = _read(root, file)
            if isinstance(read, Source):
                sources.append(read)
            else:
                findings.append(read)
    return sources, findings


def parse_source(data: bytes | str, file: str) -> Source | Finding:
    """The syntax tree of a source, or the finding `no-python` if it can't be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about a candidate's escapes are not our output
            tree = ast.parse(data, filename=file)
        return Source(file, tree, _decoded(data))
    except SyntaxError as error:
        return Finding(file, error.lineno or 0, "no-python", f"this is not Python: {error.msg}")
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return Finding(
            file, 0, "no-python", f"this can't be parsed: {str(error)[:120] or type(error).__name__}"
        )


def _decoded(data: bytes | str) -> str:
    """The text as Python reads it, by the declared encoding."""
    if isinstance(data, str):
        return data
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")


def _read(root: Path, file: str) -> Source | Finding:
    try:
        with (root / file).open("rb") as stream:
            data = stream.read(MAX_SOURCE_BYTES + 1)
    except (OSError, ValueError) as error:
        return Finding(file, 0, "unreadable", f"the file can't be read: {error}")
    if len(data) > MAX_SOURCE_BYTES:
        return Finding(file, 0, "too-large", f"a source over {MAX_SOURCE_BYTES} bytes can't be reviewed")
    return parse_source(data, file)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node. Reads the attributes as they are stored: `ast.iter_child_nodes` takes
    three times as long, and a package has millions of nodes.
    """
    below: list[ast.AST] = []
    for value in vars(node).values():
        if isinstance(value, ast.AST):
            below.append(value)
        elif isinstance(value, list):
            below += [item for item in value if isinstance(item, ast.AST)]
    return below


def walk(tree: ast.AST) -> list[ast.AST]:
    """Every node, as `ast.walk` gives them."""
    nodes = [tree]
    for node in nodes:
        nodes += children(node)
    return nodes


def _imported(nodes: Iterable[ast.AST]) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                names[alias.asname or alias.name] = f"{module}.{alias.name}"
    return names
