"""A source as the rules see it: names are resolved, texts are folded, paths are read.

A name has the value that the function, or else the module, binds it to last. That is precise enough to read
a source, and never runs it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from certify.instruments.findings import Finding

from .constant_folding import Folder
from .rules import RULES
from .source import Source, children

ANY = "*"  # a part of a path that isn't known
MAX_LOOKUPS = 12
MAX_PATH_TEXT = 2000
MAX_REACHED = 1_000_000  # per source
MAX_PATH_STEPS = 200_000  # per source

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_IMPORTERS = ("__import__", "importlib.import_module", "importlib.__import__", "builtins.__import__")
# Objects of these classes keep the name of the class: `session.get` is `requests.Session.get`.
_CLIENTS = (
    "requests.Session",
    "requests.session",
    "httpx.Client",
    "httpx.AsyncClient",
    "aiohttp.ClientSession",
)
_SPACES = ("builtins.", "__builtins__.", "__builtin__.")
_PATH_JOINS = ("os.path.join", "posixpath.join", "ntpath.join")
_PATHS = ("pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.WindowsPath")
_PATH_WRAPPERS = (
    *("os.path.expanduser", "os.path.expandvars", "os.path.abspath", "os.path.realpath", "os.path.normpath"),
    *("os.fspath", "str"),
)


_PLACEHOLDER = re.compile(r"%[sdr]|\{[^{}]{0,40}\}")


class Scope:
    """The names of a function, class or module, bound to an expression, an unknown value or an import."""

    outer: Scope | None
    is_class: bool

    def __init__(self, outer: Scope | None, *, is_class: bool = False) -> None:
        # The functions of a class don't see the names of its body.
        self.outer = outer.outer if outer is not None and outer.is_class else outer
        self.is_class = is_class
        self.bound: dict[str, ast.expr | None] = {}
        self.defined: dict[str, ast.AST] = {}
        self.imports: dict[str, str] = {}

    def find(self, name: str) -> Scope | None:
        """The innermost scope that binds this name."""
        scope: Scope | None = self
        while scope is not None and name not in scope.bound and name not in scope.imports:
            scope = scope.outer
        return scope


class View:
    """A source, with the queries that the rules need."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes: list[ast.AST] = []
        self.parents: dict[int, ast.AST] = {}
        self._scopes: dict[int, Scope] = {}
        self._names: dict[int, str] = {}
        self._following: set[int] = set()
        self._path_steps = 0
        self.reached = 0  # parts of values that rules visited
        self._look(source.tree)
        self.folder = Folder(self.bound, self.name)

    @property
    def is_exhausted(self) -> bool:
        return self.folder.is_exhausted or self._path_steps > MAX_PATH_STEPS or self.reached > MAX_REACHED

    def finding(self, rule: str, node: ast.AST | int, what: str = "") -> Finding:
        line = node if isinstance(node, int) else getattr(node, "lineno", 0)
        row = RULES[rule]
        said = row.says.format(what=what)
        snippet = self.source.snippet(line)
        return Finding(self.source.file, line, rule, said, row.band, snippet, row.fix)

    # Names.

    def bound(self, name: ast.Name) -> ast.expr | None:
        """The expression that a name was last bound to; None for arguments and what isn't bound."""
        scope = self._scope(name)
        return scope.bound.get(name.id) if scope else None

    def definition(self, name: ast.Name) -> ast.AST | None:
        """The function or class that a name was defined as."""
        scope = self._scope(name)
        return scope.defined.get(name.id) if scope else None

    def is_builtin(self, node: ast.expr) -> bool:
        """Whether a plain name is not rebound, so that it is Python's builtin."""
        return isinstance(node, ast.Name) and self._scope(node) is None

    def _scope(self, name: ast.Name) -> Scope | None:
        around = self._scopes.get(id(name))
        return around.find(name.id) if around else None

    def name(self, node: ast.expr | None) -> str:
        """The dotted name of an expression, through aliases, `__import__`, `getattr`, `vars()`.

        `builtins.` is removed. Empty if the expression has no name.
        """
        if node is None:
            return ""
        known = self._names.get(id(node))
        if known is None:
            if id(node) in self._following or len(self._following) > MAX_LOOKUPS * 4:
                return ""
            self._following.add(id(node))
            try:
                known = self._resolved(node)
            finally:
                self._following.discard(id(node))
            self._names[id(node)] = known
        return known

    def is_pieced(self, node: ast.expr) -> bool:
        """Whether a name comes from a computed text rather than a literal."""
        if isinstance(node, ast.Name):
            bound = self.bound(node)
            return bound is not None and not isinstance(bound, ast.Name) and self._hop(bound)
        return self._hop(node)

    def _hop(self, node: ast.expr) -> bool:
        for _ in range(MAX_LOOKUPS):
            key: ast.expr | None = None
            following: ast.expr | None = None
            if isinstance(node, ast.Attribute):
                following = node.value
            elif isinstance(node, ast.Subscript):
                key, following = node.slice, node.value
            elif isinstance(node, ast.Call) and self.name(node.func) == "getattr" and len(node.args) > 1:
                key, following = node.args[1], node.args[0]
            elif isinstance(node, ast.Call) and self.name(node.func) in _IMPORTERS and node.args:
                key = node.args[0]
            if key is not None and self._is_computed(key):
                return True
            if following is None:
                return False
            node = following
        return False

    def _is_computed(self, node: ast.expr) -> bool:
        """A text that is computed, or written with unnecessary escapes."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str) and node.value.isascii() and "\\" in self.source.segment(node)
        if isinstance(node, ast.Name):
            bound = self.bound(node)
            return bound is not None and not isinstance(bound, ast.Name) and self._is_computed(bound)
        return isinstance(self.folder.fold(node), (str, bytes))

    def _resolved(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._plain(self._name_of(node))
        if isinstance(node, ast.Attribute):
            owner = self.name(node.value)
            return self._plain(f"{owner}.{node.attr}") if owner and node.attr != "__dict__" else owner
        if isinstance(node, ast.Subscript):
            owner, key = self.name(node.value), self.folder.text(node.slice)
            if owner in ("globals", "locals", "vars", "sys.modules"):
                return self._plain(key or "")
            return self._plain(f"{owner}.{key}") if owner and key and key.isidentifier() else ""
        if isinstance(node, ast.Call):
            return self._called(node)
        return ""

    def _name_of(self, node: ast.Name) -> str:
        scope = self._scope(node)
        if scope is None:
            return node.id
        bound = scope.bound.get(node.id)
        if isinstance(bound, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)) and (
            name := self.name(bound)
        ):
            return name
        # An import takes precedence over `requests = None` after a failed import.
        return scope.imports.get(node.id, "")

    def _called(self, node: ast.Call) -> str:
        called = self.name(node.func)
        if called in ("globals", "locals"):
            return called
        if called in ("vars", "builtins.vars") and node.args:
            return self.name(node.args[0])
        if called in _IMPORTERS and node.args:
            return self.folder.text(node.args[0]) or ""
        if called in _CLIENTS:
            return called
        if called == "getattr" and len(node.args) > 1:
            owner, key = self.name(node.args[0]), self.folder.text(node.args[1])
            return self._plain(f"{owner}.{key}") if owner and key and key.isidentifier() else ""
        return ""

    @staticmethod
    def _plain(name: str) -> str:
        for space in _SPACES:
            if name.startswith(space):
                return name.removeprefix(space)
        return name

    # Texts and paths.

    def path(self, node: ast.expr | None, depth: int = 0) -> str:
        """A path as text, `*` for what isn't known: joins, `/`, f-strings, `Path(...)`, `expanduser`.

        A loop variable over literal texts gives all of them, a line each.
        """
        self._path_steps += 1
        if node is None or depth > MAX_LOOKUPS or self._path_steps > MAX_PATH_STEPS:
            return ANY
        known = self.folder.text(node)
        if known is not None:
            return known[:MAX_PATH_TEXT].replace("\\", "/")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            return _PLACEHOLDER.sub(ANY, self.path(node.left, depth + 1))
        if isinstance(node, ast.Subscript):
            return self.path(node.value, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
            between = "/" if isinstance(node.op, ast.Div) else ""
            return self._cut(self.path(node.left, depth + 1) + between + self.path(node.right, depth + 1))
        if isinstance(node, ast.JoinedStr):
            return self._cut("".join(self.path(part, depth + 1) for part in node.values[:30]))
        if isinstance(node, ast.FormattedValue):
            return self.path(node.value, depth + 1)
        if isinstance(node, ast.Name):
            bound = self.bound(node)
            return self.path(bound, depth + 1) if bound is not None else ANY
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return self._cut("\n".join(self.path(part, depth + 1) for part in node.elts[:60]))
        if isinstance(node, ast.Dict):
            return self._cut("\n".join(self.path(part, depth + 1) for part in node.values[:60]))
        if isinstance(node, ast.Call):
            return self._path_of_call(node, depth)
        return ANY

    def _path_of_call(self, node: ast.Call, depth: int) -> str:
        name = self.name(node.func)
        arguments = [self.path(argument, depth + 1) for argument in node.args[:12]]
        if name in (*_PATH_JOINS, *_PATHS) and arguments:
            return self._cut("/".join(arguments))
        if name in _PATH_WRAPPERS and arguments:
            return arguments[0]
        if name in ("os.environ.get", "os.getenv") and arguments:
            return f"${arguments[0]}"
        if name in tuple(f"{path}.home" for path in _PATHS):
            return "~"
        if name.startswith(("site.get", "sysconfig.get_path", "distutils.sysconfig.get_python_lib")):
            return "site-packages"
        if isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr == "format":
                return _PLACEHOLDER.sub(ANY, self.path(owner, depth + 1))
            if node.func.attr == "joinpath":
                return self._cut("/".join([self.path(owner, depth + 1), *arguments]))
            if node.func.attr in ("expanduser", "resolve", "absolute", "items", "values", "with_name"):
                return self.path(owner, depth + 1)
        return ANY

    @staticmethod
    def _cut(text: str) -> str:
        return text[:MAX_PATH_TEXT]

    # The walk.

    def _look(self, tree: ast.Module) -> None:
        """Visits every node once, outer before inner. An explicit stack, so that no source is too deep."""
        waiting: list[tuple[ast.AST, Scope]] = [(tree, Scope(None))]
        while waiting:
            node, scope = waiting.pop()
            self.nodes.append(node)
            if isinstance(node, ast.Name):
                self._scopes[id(node)] = scope
            self._bind(node, scope)
            inner = (
                Scope(scope, is_class=isinstance(node, ast.ClassDef))
                if isinstance(node, _FUNCTIONS)
                else scope
            )
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                inner.bound.update(_arguments(node.args))
            below = children(node)
            for child in below:
                self.parents[id(child)] = node
            waiting.extend((child, inner) for child in reversed(below))

    @staticmethod
    def _bind(node: ast.AST, scope: Scope) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            scope.bound[node.name] = None
            scope.defined[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                _bind_target(target, node.value, scope)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and isinstance(node.target, ast.Name):
            scope.bound[node.target.id] = node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            before = scope.bound.get(node.target.id)
            grown = ast.BinOp(before, node.op, node.value) if before is not None else None
            scope.bound[node.target.id] = grown
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            _bind_loop(node.target, node.iter, scope)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                scope.imports[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                scope.imports[alias.asname or alias.name] = f"{module}.{alias.name}"
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            scope.bound[node.optional_vars.id] = node.context_expr


def _arguments(given: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    """The arguments of a function, each with its default if there is any."""
    places = [*given.posonlyargs, *given.args]
    bare: list[ast.expr | None] = [None] * (len(places) - len(given.defaults))
    yield from ((part.arg, value) for part, value in zip(places, [*bare, *given.defaults], strict=True))
    yield from ((part.arg, value) for part, value in zip(given.kwonlyargs, given.kw_defaults, strict=True))
    yield from ((part.arg, None) for part in (given.vararg, given.kwarg) if part)


def _bind_target(target: ast.expr, value: ast.expr, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        scope.bound[target.id] = _grown(target.id, value, scope)
    elif isinstance(target, (ast.Tuple, ast.List)):
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
            for part, piece in zip(target.elts, value.elts, strict=True):
                _bind_target(part, piece, scope)
        else:
            for part in target.elts:
                if isinstance(part, ast.Name):
                    scope.bound[part.id] = None


def _grown(name: str, value: ast.expr, scope: Scope) -> ast.expr | None:
    """What `name = value` binds, where `name = name + more` grows what was bound before."""
    before = scope.bound.get(name)
    if name not in scope.bound or not any(isinstance(p, ast.Name) and p.id == name for p in ast.walk(value)):
        return value
    if isinstance(value, ast.BinOp) and isinstance(value.left, ast.Name) and before is not None:
        return ast.BinOp(before, value.op, value.right)
    return None


def _bind_loop(target: ast.expr, values: ast.expr, scope: Scope) -> None:
    """A loop variable is bound to the collection: right for paths, and unknown to the folder."""
    for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
        if isinstance(part, ast.Name):
            scope.bound.setdefault(part.id, ast.Tuple(elts=[values], ctx=ast.Load()))
