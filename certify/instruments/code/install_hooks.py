"""What a `setup.py` does besides declaring: it runs on the machine of whoever installs the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from certify.instruments.findings import Finding

from .hosts import FETCH
from .source_view import View

_PROGRAMS = re.compile(
    r"subprocess\.\w+|os\.(system|popen|startfile|exec\w+|spawn\w+|posix_spawnp?)|asyncio\.create_subprocess_\w+"
)
_COMMANDS = re.compile(r"(setuptools|distutils)\.command\.\w+(\.\w+)?")
# What a command only says of itself.
_SHOWN = ("subprocess.list2cmdline",)


def check(view: View) -> Iterator[Finding]:
    """Programs, the network, and commands of its own, in a `setup.py`; nothing in other sources."""
    if PurePosixPath(view.source.file).name != "setup.py":
        return
    for node in view.nodes:
        if isinstance(node, ast.Call):
            yield from _call(view, node)
        elif isinstance(node, ast.ClassDef):
            base = next((name for base in node.bases if _COMMANDS.fullmatch(name := view.name(base))), "")
            if base:
                yield view.finding("install-hook", node, f"the command {node.name} in place of {base}")


def _call(view: View, call: ast.Call) -> Iterator[Finding]:
    name = view.name(call.func)
    if (_PROGRAMS.fullmatch(name) and name not in _SHOWN) or FETCH.fullmatch(name):
        yield view.finding("install-hook", call, f"{name}()")
    elif name.endswith(".setup"):
        for keyword in call.keywords:
            if keyword.arg == "cmdclass" and not _is_empty(keyword.value):
                yield view.finding("install-hook", call, "cmdclass")


def _is_empty(value: ast.expr) -> bool:
    return isinstance(value, ast.Dict) and not value.keys
