"""Actions of a `setup.py` beyond declarations: they run on the machine of each user who installs it."""

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
# Calls that only show a command.
_SHOWN = ("subprocess.list2cmdline",)


def check(view: View) -> Iterator[Finding]:
    """Programs, network access and custom commands in a `setup.py`; other sources are skipped."""
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
