"""Queries about the environment: its variables, its secrets, and whether the code is under test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from certify.instruments.findings import Finding

from . import hosts
from .source_view import View

_SECRET_NAME = re.compile(
    r"[A-Z0-9_]*(API_?KEY|_TOKEN|SECRET|PASSWORD|PASSWD|ACCESS_KEY|PRIVATE_KEY)[A-Z0-9_]*"
)
_SOUNDS_SECRET = re.compile(r"token|secret|passw|api_?key|credential|_key", re.I)
_MANY = 3
_SENDS = re.compile(
    r"(requests|httpx)(\.\w+)?\.(post|put|patch|get|request)|urllib\.request\.(urlopen|Request)|.*\.(sendall|sendto)"
)
_EXAMINER = re.compile(r"(sd[-_.]?)?certify([-_.][-_.\w]{0,60})?", re.I)
_TESTS = re.compile(r"PYTEST_\w+|_?pytest|py\.test|TOX_\w+|tox")
_TRACERS = (
    "sys.gettrace",
    "sys.monitoring.get_tool",
    "win32api.IsDebuggerPresent",
    "debugpy.is_client_connected",
)
_SURROUNDINGS = ("os.environ", "sys.modules", "sys.argv", "psutil.Process", "psutil.process_iter")
_READS = ("os.environ.get", "os.getenv", "os.environ.pop")
_ASKS = (*_READS, "importlib.util.find_spec", "importlib.metadata.version")
_TEXT_METHODS = ("startswith", "endswith", "find", "count")
_TURNED_TO_TEXT = ("json.dumps", "json.dump", "pickle.dumps", "str", "repr", "urllib.parse.urlencode")


def check(view: View) -> Iterator[Finding]:
    secrets: dict[str, ast.AST] = {}
    for node in view.nodes:
        if isinstance(node, ast.Call):
            yield from _call(view, node)
            secrets.update(dict.fromkeys(_secret_read(view, node), node))
        elif isinstance(node, ast.Compare):
            yield from _membership(view, node)
        elif isinstance(node, ast.Subscript) and view.name(node.value) == "os.environ":
            key = view.folder.text(node.slice) or ""
            secrets.update({key: node} if _SECRET_NAME.fullmatch(key) else {})
            yield from _asks_for(view, node, key)
        elif isinstance(node, (ast.For, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)):
            yield from _sifted(view, node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imports_examiner(view, node)
    if len(secrets) >= _MANY:
        yield view.finding("many-secrets", next(iter(secrets.values())), ", ".join(sorted(secrets))[:120])


def _call(view: View, call: ast.Call) -> Iterator[Finding]:
    name = view.name(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in _TRACERS:
        yield view.finding("asks-for-debugger", call, f"{name}()")
    if call.args and (name in _ASKS or (method in _TEXT_METHODS and _is_surrounding(view, call.func))):
        yield from _asks_for(view, call, view.folder.text(call.args[0]) or "")
    if any(_holds_environment(view, value) for value in _arguments(call)):
        if _SENDS.fullmatch(name or f".{method}") or hosts.FETCH.fullmatch(name):
            yield view.finding("environment-sent", call, f"{name or method}()")
        elif name in _TURNED_TO_TEXT:
            yield view.finding("environment-taken", call, f"{name}()")


def _secret_read(view: View, call: ast.Call) -> list[str]:
    if view.name(call.func) not in _READS or not call.args:
        return []
    key = view.folder.text(call.args[0]) or ""
    return [key] if _SECRET_NAME.fullmatch(key) else []


def _membership(view: View, node: ast.Compare) -> Iterator[Finding]:
    """`"pytest" in sys.modules`."""
    for operand, op in zip(node.comparators, node.ops, strict=True):
        if isinstance(op, (ast.In, ast.NotIn)) and _is_surrounding(view, operand):
            yield from _asks_for(view, node, view.folder.text(node.left) or "")


def _is_surrounding(view: View, node: ast.expr) -> bool:
    """A value that describes the process: its modules, arguments or environment, or a part of them."""
    for _ in range(12):
        if view.name(node) in _SURROUNDINGS or _reads_process(view, node):
            return True
        bound = view.bound(node) if isinstance(node, ast.Name) else None
        if bound is not None:
            node = bound
        elif isinstance(node, ast.Tuple) and len(node.elts) == 1:  # a loop variable
            node = node.elts[0]
        elif isinstance(node, (ast.Subscript, ast.Attribute)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.args[0] if node.args and not isinstance(node.func, ast.Attribute) else node.func
        else:
            return False
    return False


def _reads_process(view: View, node: ast.expr) -> bool:
    """`open("/proc/self/cmdline")`."""
    if not isinstance(node, ast.Call) or not node.args:
        return False
    opened = view.name(node.func) in ("open", "io.open", "pathlib.Path")
    return opened and view.path(node.args[0]).startswith("/proc/")


def _imports_examiner(view: View, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    if any(name.partition(".")[0] == "certify" for name in modules) and not getattr(node, "level", 0):
        yield view.finding("asks-for-certify", node, "import certify")


def _sifted(
    view: View, node: ast.For | ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp
) -> Iterator[Finding]:
    """A loop over the environment that searches for names of secrets."""
    source = node.iter if isinstance(node, ast.For) else node.generators[0].iter
    owner = (
        source.func.value
        if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute)
        else source
    )
    if view.name(owner) == "os.environ":
        texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
        if any(isinstance(text, str) and _SOUNDS_SECRET.search(text) for text in texts):
            yield view.finding("environment-taken", node, "a search for secrets")


def _asks_for(view: View, node: ast.AST, key: str) -> Iterator[Finding]:
    if _EXAMINER.fullmatch(key):
        yield view.finding("asks-for-certify", node, key)
    elif _TESTS.fullmatch(key):
        yield view.finding("asks-for-tests", node, key)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(word.value for word in call.keywords if word.arg != "env")]


def _holds_environment(view: View, value: ast.expr, depth: int = 0) -> bool:
    """Whether a value contains all of `os.environ`: itself, a copy, a table or a text of it."""
    if depth > 6:
        return False
    if view.name(value) == "os.environ":
        return True
    if isinstance(value, ast.JoinedStr):
        return any(_holds_environment(view, part, depth + 1) for part in value.values[:20])
    if isinstance(value, ast.FormattedValue):
        return _holds_environment(view, value.value, depth + 1)
    if isinstance(value, ast.Name):
        bound = view.bound(value)
        return bound is not None and _holds_environment(view, bound, depth + 1)
    if isinstance(value, ast.Call):
        owner = value.func.value if isinstance(value.func, ast.Attribute) else None
        copied = isinstance(value.func, ast.Attribute) and value.func.attr in ("copy", "items", "encode")
        made = view.name(value.func) in (
            "dict",
            "str",
            "repr",
            "json.dumps",
            "list",
            "urllib.parse.urlencode",
        )
        inner = [owner] if copied and owner is not None else value.args[:1] if made else []
        return any(_holds_environment(view, part, depth + 1) for part in inner)
    if isinstance(value, ast.Dict):
        return any(_holds_environment(view, part, depth + 1) for part in value.values[:20])
    if isinstance(value, ast.DictComp):
        return _holds_environment(view, value.generators[0].iter, depth + 1)
    return False
