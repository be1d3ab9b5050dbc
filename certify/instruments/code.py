"""Code that a store doesn't let in: static rules over the syntax tree, which no clever wording of a comment
can move.

They see what is written down. What code does when it runs is for the jail and the resource readings to tell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain, islice

from .findings import Finding
from .source import Source

_BUILTINS = ("eval", "exec", "compile")
_QUALIFIED = tuple(f"builtins.{name}" for name in _BUILTINS)
_MOST_NODES = 200  # of one call: an argument list is short, and a hostile source is not
_PROCESS = re.compile(r"(subprocess|os|asyncio|pty|commands)\.\w+")
_INSTALLERS = (
    "pip.main",
    "pip._internal.main",
    "pip._internal.cli.main.main",
    "ensurepip.bootstrap",
    "launch.run_pip",
)
_INSTALL = re.compile(
    r"(?:^|[\s/\\])(?:pip[\d.]*|pipx|conda|mamba|micromamba|uv|poetry|easy_install)(?:\.exe)?"
    r"\s(?:\S+\s){0,4}?(?:install|add|sync)\b"
)
_SHELLS = (
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
)
_UNPICKLERS = re.compile(
    r"(_?pickle|cPickle|dill|cloudpickle|joblib|marshal)\.(load|loads|Unpickler)|shelve\.open|yaml\.unsafe_load"
)


def check_source(source: Source) -> list[Finding]:
    """Faults of one source: `runtime-install`, `dynamic-code`, `unsafe-deserialisation`, `shell`."""
    own = _bound(source.tree)
    risky = {"eval", "exec"} - own
    calls = {id(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    found: set[Finding] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            found.update(_call_faults(source, node, own))
        elif isinstance(node, (ast.List, ast.Tuple)) and _INSTALL.search(_words(node.elts)):
            found.add(_install(source, node))  # an argument list that is put together before the call
        elif isinstance(node, ast.Name) and node.id in risky and id(node) not in calls:
            found.add(_dynamic(source, node, node.id))  # handed on, to be called elsewhere
    return sorted(found)


def _call_faults(source: Source, call: ast.Call, own: set[str]) -> Iterator[Finding]:
    name = source.dotted(call.func)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in _INSTALLERS or (_PROCESS.fullmatch(name) and _INSTALL.search(_words(call.args))):
        yield _install(source, call)
    plain = call.func.id if isinstance(call.func, ast.Name) and call.func.id not in own else ""
    constant = bool(call.args) and isinstance(call.args[0], ast.Constant)
    if (plain in _BUILTINS or name in _QUALIFIED) and not constant:
        yield _dynamic(source, call, plain or name)
    if name in _SHELLS or (name.startswith("subprocess.") and _is(keywords.get("shell"), True)):
        yield source.finding(call, "shell", f"{name}() runs a shell; give the program a list of arguments")
    if reason := _unsafe_load(name, keywords):
        yield source.finding(call, "unsafe-deserialisation", reason)


def _bound(tree: ast.Module) -> set[str]:
    """Names that the module itself gives another meaning, at its top level."""
    own: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own.update(alias.asname or alias.name for alias in node.names)
    return own


def _dynamic(source: Source, node: ast.expr, name: str) -> Finding:
    return source.finding(node, "dynamic-code", f"{name}() of a value runs code that nobody reviewed")


def _install(source: Source, node: ast.expr) -> Finding:
    told = "installs packages while it runs; declare them as dependencies, and let the host install them"
    return source.finding(node, "runtime-install", told)


def _unsafe_load(name: str, keywords: dict[str | None, ast.expr]) -> str:
    if _UNPICKLERS.fullmatch(name):
        return f"{name}() runs whatever code its data holds; use JSON or safetensors"
    if name == "torch.load" and not _is(keywords.get("weights_only"), True):
        return "torch.load() without weights_only=True runs whatever code its file holds; use safetensors"
    if name == "numpy.load" and _is(keywords.get("allow_pickle"), True):
        return "numpy.load(allow_pickle=True) runs whatever code its file holds"
    if name == "yaml.load" and "Safe" not in ast.dump(keywords.get("Loader", ast.Constant("Safe"))):
        return "yaml.load() with this loader runs whatever code its data holds; use yaml.safe_load()"
    return ""


def _is(value: ast.expr | None, constant: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is constant


def _words(nodes: list[ast.expr]) -> str:
    """The literal text in these arguments, in the order of the source, as one command line."""
    parts = islice(chain.from_iterable(map(ast.walk, nodes)), _MOST_NODES)
    constants = [part for part in parts if isinstance(part, ast.Constant)]
    constants.sort(key=lambda part: (part.lineno, part.col_offset))
    return " ".join(part.value[:500] for part in constants if isinstance(part.value, str))
