"""Code that runs other code: from values, from encoded texts, from the network, through a shell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain, islice

from certify.instruments.findings import Finding

from . import hosts
from .decoding import CODECS, DECODERS
from .source_view import MAX_REACHED, View

_MOST_NAMES = 40  # that are followed from an argument
_MOST_NODES = 2000  # of a call: an argument list is short, and a hostile source is not
_RUNNERS = ("eval", "exec", "compile")
_PROCESS = re.compile(
    r"subprocess\.(run|call|check_\w+|Popen|get\w+)|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|startfile)"
    r"|asyncio\.create_subprocess_\w+|pty\.spawn|commands\.\w+"
)
_INSTALLERS = (
    "pip.main",
    "pip._internal.main",
    "pip._internal.cli.main.main",
    "ensurepip.bootstrap",
    "launch.run_pip",
)
_INSTALL = re.compile(
    r"(?:^|[\s/\\])(?:pip[\d.]*|pipx|conda|mamba|micromamba|uv|poetry|easy_install)(?:\.exe)?"
    r"\s(?:(?:-\S+|pip)\s(?:https?://\S+\s)?){0,5}?(?:install|add|sync)\b"
)
_PIPED = re.compile(
    r"\b(?:curl|wget|iwr|invoke-webrequest|downloadstring)\b.{0,300}?(?:\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b"
    r"|\|\s*python|\biex\b)|\biex\b.{0,100}?(?:downloadstring|\biwr\b|\birm\b|invoke-webrequest)",
    re.I | re.S,
)
_SHELLS = (
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
)
_UNPICKLERS = re.compile(
    r"(_?pickle|cPickle|dill|cloudpickle|joblib|marshal|pandas)\.(load|loads|Unpickler|read_pickle)"
    r"|shelve\.(open|Shelf|DbfilenameShelf)|yaml\.(unsafe_load|full_load|unsafe_load_all)|jsonpickle\.decode"
)
_HIDEABLE = re.compile(
    r"(eval|exec|compile|__import__|globals)|(os\.(system|popen|exec\w+|spawn\w+|environ)|subprocess\.\w+"
    r"|marshal\.loads|pickle\.loads|socket\.socket|importlib\.import_module|ctypes\.\w+|builtins|os|subprocess"
    r"|socket|pty\.spawn|urllib\.request\.\w+|requests\.\w+|base64\.b64decode|zlib\.decompress)"
)
_RUNS = re.compile(
    r"eval|exec|compile|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.(run|call|check_\w+|Popen|get\w+)"
    r"|marshal\.loads|pickle\.loads"
    r"|socket\.socket|pty\.spawn"
)
_FILE_RUNNERS = ("runpy.run_path", "runpy.run_module", "runpy._run_code")
_MEMBERS = ("system", "popen", "exec", "eval", "__import__", "Popen", "loads", "b64decode")
_SHOWERS = ("subprocess.list2cmdline", "shlex.join", "print")
_SHORT = 3  # pieces of a name or a payload; lines of code are longer


def check(view: View) -> Iterator[Finding]:
    calls = {id(node.func) for node in view.nodes if isinstance(node, ast.Call)}
    for node in view.nodes:
        if isinstance(node, ast.Call):
            yield from _call(view, node)
        elif isinstance(node, (ast.List, ast.Tuple)):
            yield from _listed(view, node)
        elif isinstance(node, ast.Name) and node.id in ("eval", "exec") and id(node) not in calls:
            handed_on = view.is_builtin(node) and isinstance(node.ctx, ast.Load)  # called elsewhere
            yield from [view.finding("dynamic-code", node, node.id)] if handed_on else []
        if isinstance(node, (ast.Attribute, ast.Subscript)) and id(node) not in calls:
            yield from _hidden(view, node)


def _call(view: View, call: ast.Call) -> Iterator[Finding]:
    name = view.name(call.func)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    yield from _hidden(view, call.func)
    yield from _hidden(view, call)
    if name in _INSTALLERS or (_PROCESS.fullmatch(name) and _installs(view, call)):
        yield view.finding("runtime-install", call)
    if name in _RUNNERS:
        yield from _run(view, call, name)
    if name in _FILE_RUNNERS:
        yield view.finding("dynamic-code", call, name)
    handed = next((view.name(part) for part in _arguments(call) if view.name(part) in ("eval", "exec")), "")
    if handed and (rule := _worst(view, [*_arguments(call)])) != "dynamic-code":
        yield view.finding(rule, call, f"{handed}()")
    if name in ("operator.attrgetter", "operator.methodcaller") and call.args:
        member = (view.folder.text(call.args[0]) or "").rpartition(".")[2]
        if member in _MEMBERS:
            written = isinstance(call.args[0], ast.Constant)
            yield view.finding("detour" if written else "hidden-name", call, member)
    if name == "marshal.loads" and call.args and view.folder.fold(call.args[0]) is not None:
        yield view.finding("marshalled-code", call, "marshal.loads()")
    elif name == "types.CodeType":
        yield view.finding("built-code-object", call, f"{name}()")
    if name in _SHELLS or (name.startswith("subprocess.") and _is(keywords.get("shell"), True)):
        yield view.finding("shell", call, name)
    if what := _unsafe_load(view, name, call, keywords):
        yield view.finding("unsafe-deserialisation", call, what)
    source = view.folder.text(keywords.get("source"))
    if name == "torch.hub.load" and source != "local":
        yield view.finding("hub-code", call, "torch.hub.load()")
    if _is(keywords.get("trust_remote_code"), True) and not _is(keywords.get("local_files_only"), True):
        yield view.finding("remote-code", call, "trust_remote_code=True")


def _hidden(view: View, node: ast.expr) -> Iterator[Finding]:
    """A dangerous name that is reached through pieces of text, or by a detour for no reason."""
    if isinstance(node, ast.Attribute) and node.attr == "__subclasses__" and _climbs(node):
        yield view.finding("hidden-name", node, "of every class")
    name = view.name(node)
    if not name or isinstance(node, ast.Constant):
        return
    if _HIDEABLE.fullmatch(name) and view.is_pieced(node):
        yield view.finding("hidden-name", node, name)
    elif _RUNS.fullmatch(name) and _is_detour(view, node):
        yield view.finding("detour", node, name)


def _listed(view: View, node: ast.List | ast.Tuple) -> Iterator[Finding]:
    """An argument list that installs packages, built before the call. A whole command in a single text is a
    hint for the user, unless the source starts programs.
    """
    texts = [_own_words([part]) for part in node.elts[:200]]
    if not _INSTALL.search(" ".join(texts)) or _is_shown(view, node):
        return
    if not any(map(_INSTALL.search, texts)):
        yield view.finding("runtime-install", node)
    elif _starts_programs(view):
        yield view.finding("install-named", node)


def _starts_programs(view: View) -> bool:
    return any(isinstance(node, ast.Call) and _PROCESS.fullmatch(view.name(node.func)) for node in view.nodes)


def _is_shown(view: View, node: ast.expr) -> bool:
    """A command that is only shown, as in a hint for the user."""
    parent = view.parents.get(id(node))
    return isinstance(parent, ast.Call) and view.name(parent.func) in _SHOWERS


def _climbs(node: ast.expr) -> bool:
    """`().__class__.__base__.__subclasses__`: reaches every class through the common base class."""
    names = set()
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        names.add(node.attr if isinstance(node, ast.Attribute) else "")
        node = node.func if isinstance(node, ast.Call) else node.value
    return "__subclasses__" in names and not names.isdisjoint(("__base__", "__bases__", "__mro__"))


def _is_detour(view: View, node: ast.expr) -> bool:
    """`__import__("os").system`, `getattr(os, "system")`, `globals()["exec"]`, `vars(os)["system"]`."""
    if isinstance(node, ast.Subscript):
        return True
    if isinstance(node, ast.Call):
        return view.name(node.func) == "getattr"
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Call):
        return False
    return view.name(node.value.func) == "__import__"


def _run(view: View, call: ast.Call, name: str) -> Iterator[Finding]:
    """eval, exec or compile: the more is hidden, the worse the rule."""
    if not call.args or isinstance(call.args[0], ast.Constant):
        return  # a literal is read like the rest of the source
    rule = _worst(view, [call.args[0]])
    yield view.finding(rule, call, name if rule == "dynamic-code" else f"{name}()")


def _worst(view: View, nodes: list[ast.expr]) -> str:
    """The rule for code in these expressions: fetched, compiled, encoded, or just a value."""
    parts = [part for node in nodes for part in islice(_reached(view, node), _MOST_NODES)]
    if any(_fetcher(view, part) for part in parts):
        return "fetched-code"
    if any(_unmarshals(view, part) for part in parts):
        return "marshalled-code"
    return "hidden-code" if any(_decodes(view, part) for part in parts) else "dynamic-code"


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call, with tuples and lists unpacked."""
    for value in (*call.args, *(keyword.value for keyword in call.keywords)):
        yield from value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]


def _reached(view: View, node: ast.expr) -> Iterator[ast.expr]:
    """The parts of an expression, of what its names are bound to, and of the functions that it calls."""
    waiting: list[ast.AST] = [node]
    seen = {id(node)}
    while waiting:
        at = waiting.pop()
        for part in ast.walk(at):
            view.reached += 1
            if view.reached > MAX_REACHED:
                return
            if isinstance(part, ast.expr):
                yield part
            if isinstance(part, ast.Name):
                for further in (view.bound(part), view.definition(part)):
                    if further is not None and id(further) not in seen:
                        seen.add(id(further))
                        waiting.append(further)


def _bound_parts(view: View, node: ast.expr) -> list[ast.expr]:
    """An expression and the values of the names in it, recursively: `command.split()`, a loop variable."""
    parts, at = [node], 0
    while at < len(parts) <= _MOST_NAMES:
        names = (part for part in islice(ast.walk(parts[at]), _MOST_NODES) if isinstance(part, ast.Name))
        bound = (view.bound(name) for name in names)
        parts += [part for part in bound if part is not None and all(part is not other for other in parts)]
        at += 1
    return parts[:_MOST_NAMES]


def _fetcher(view: View, part: ast.expr) -> str:
    """The name of a call that fetches something; empty for anything else."""
    name = view.name(part.func) if isinstance(part, ast.Call) else ""
    return name if hosts.FETCH.fullmatch(name) else ""


def _decodes(view: View, part: ast.expr) -> bool:
    """Whether this decodes an encoding, joins a text from letters, or reverses a text."""
    if isinstance(part, ast.Subscript):
        backwards = isinstance(part.slice, ast.Slice) and view.folder.fold(part.slice.step) == -1
        return backwards and isinstance(view.folder.fold(part), (str, bytes))
    if not isinstance(part, ast.Call):
        return False
    name = view.name(part.func)
    if name in DECODERS or name == "codecs.decode":
        return True
    value = view.folder.fold(part)
    if name in ("bytes", "bytearray"):
        return isinstance(value, bytes) and isinstance(view.folder.fold(part.args[0]), list)
    if isinstance(part.func, ast.Attribute) and part.func.attr == "to_bytes":
        return value is not None
    if isinstance(part.func, ast.Attribute) and part.func.attr == "join" and part.args:
        if isinstance(part.args[0], (ast.ListComp, ast.GeneratorExp)) and _makes_letters(view, part.args[0]):
            return True
        pieces = view.folder.fold(part.args[0])
        short = isinstance(pieces, list) and all(isinstance(p, str) and len(p) <= _SHORT for p in pieces)
        return short and isinstance(value, str) and len(value) > _SHORT
    if isinstance(part.func, ast.Attribute) and part.func.attr == "decode" and part.args:
        return view.folder.fold(part.args[0]) in CODECS
    return False


def _makes_letters(view: View, node: ast.ListComp | ast.GeneratorExp) -> bool:
    return any(isinstance(part, ast.Call) and view.name(part.func) == "chr" for part in ast.walk(node.elt))


def _unmarshals(view: View, part: ast.expr) -> bool:
    return isinstance(part, ast.Call) and view.name(part.func) in ("marshal.loads", "marshal.load")


def _installs(view: View, call: ast.Call) -> bool:
    if view.name(call.func) in _SHOWERS:
        return False
    words = _words([part for argument in call.args for part in _bound_parts(view, argument)])
    if _INSTALL.search(words) or _PIPED.search(words):
        return True
    folded = view.folder.fold(call.args[0]) if call.args else None
    text = " ".join(map(str, folded)) if isinstance(folded, list) else str(folded or "")
    return bool(_INSTALL.search(text[:2000]) or _PIPED.search(text[:2000]))


def _unsafe_load(view: View, name: str, call: ast.Call, keywords: dict[str | None, ast.expr]) -> str:
    if _UNPICKLERS.fullmatch(name):
        constant = name == "marshal.loads" and call.args and view.folder.fold(call.args[0]) is not None
        return "" if constant else f"{name}()"
    if name == "torch.load" and not _is(keywords.get("weights_only"), True):
        return "torch.load() without weights_only=True"
    if name == "numpy.load" and _is(keywords.get("allow_pickle"), True):
        return "numpy.load(allow_pickle=True)"
    if name in ("yaml.load", "yaml.load_all"):
        loader = keywords.get("Loader") or (call.args[1] if len(call.args) > 1 else None)
        if loader is not None and "Safe" not in view.name(loader) and "Safe" not in ast.dump(loader)[:500]:
            return f"{name}() with this loader"
    return ""


def _is(value: ast.expr | None, constant: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is constant


def _own_words(nodes: list[ast.expr]) -> str:
    """The texts that are elements themselves; a nested list is checked separately."""
    parts = [
        part for node in nodes[:200] for part in (node.values if isinstance(node, ast.JoinedStr) else [node])
    ]
    texts = (
        part.value[:500] for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )
    return " ".join(texts)


def _words(nodes: list[ast.expr]) -> str:
    """The literal text in these arguments, in source order, as a command line."""
    parts = islice(chain.from_iterable(map(ast.walk, nodes)), _MOST_NODES)
    constants = [part for part in parts if isinstance(part, ast.Constant)]
    constants.sort(key=lambda part: (part.lineno, part.col_offset))
    return " ".join(part.value[:500] for part in constants if isinstance(part.value, str))
