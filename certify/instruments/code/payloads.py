"""Texts in a source that hold code or programs, after their encodings are decoded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from certify.instruments.files.magic import program
from certify.instruments.findings import Finding

from .decoding import peel
from .source import Source, parse_source
from .source_view import View

MIN_BLOB = 160  # characters; shorter ones are keys, hashes and names
MAX_INNER = 200  # texts checked per source
_RUNNERS = ("eval", "exec", "compile", "builtins.exec", "builtins.eval")
_IMPORTS = (ast.Import, ast.ImportFrom)


def blobs(view: View) -> Iterator[tuple[Finding | None, ast.AST, bytes | str]]:
    """(finding, place, code): encoded constants that hold a program or Python, and constants that are run.

    `code` is Python for the same rules; the finding is None if the text is not encoded.
    """
    looked = 0
    for node in view.nodes:
        if looked >= MAX_INNER:
            yield view.finding("not-reviewable", node, f"it runs or hides over {MAX_INNER} texts"), node, b""
            return
        if isinstance(node, ast.Call) and view.name(node.func) in _RUNNERS and node.args:
            code = view.folder.fold(node.args[0])
            if isinstance(code, (str, bytes)) and len(code) > 3:
                looked += 1
                yield None, node, peeled(code)
        elif isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            value = node.value
            if len(value) < MIN_BLOB or isinstance(view.parents.get(id(node)), ast.Expr):
                continue
            under = peel(value)
            raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            what = program(under or b"")
            if what:
                yield view.finding("hidden-program", node, what), node, b""
            elif under and under != raw and is_python(under):
                looked += 1
                yield view.finding("encoded-code", node, "Python"), node, under


def peeled(code: str | bytes) -> str | bytes:
    """The code itself, or the decoded content if the text is encoded."""
    return code if isinstance(code, str) and not code.isalnum() else peel(code) or code


def is_python(data: bytes) -> bool:
    """Whether bytes are Python that has an effect: more than a name or a table."""
    if b"\0" in data[:4096] or not any(word in data for word in (b"import ", b"exec(", b"eval(", b"def ")):
        return False
    source = parse_source(data, "")
    if not isinstance(source, Source):
        return False
    return any(isinstance(node, (*_IMPORTS, ast.FunctionDef, ast.Call)) for node in ast.walk(source.tree))


def moved(findings: list[Finding], view: View, place: ast.AST) -> Iterator[Finding]:
    """The findings inside a text, reported at the line of the text."""
    line = getattr(place, "lineno", 0)
    for finding in findings:
        message = f"in a text on this line: {finding.message}"
        yield replace(finding, line=line, message=message)
