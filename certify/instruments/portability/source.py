"""Do a plugin's file names and code work on all three systems? Static rules, with a finding for each
fault.

File names: Microsoft, "Naming Files, Paths, and Namespaces"; macOS keeps the normal form of a name
and ignores it in comparisons.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from certify.instruments.code.source import Source
from certify.instruments.findings import Finding
from certify.instruments.packages.imports import unguarded

MAX_PATH = 200  # leaves a Windows host 59 characters for its own folder

_REFUSED = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])", re.IGNORECASE)
_ONE_PLATFORM = {
    **dict.fromkeys(("winreg", "msvcrt", "winsound", "_winapi", "nt"), "Windows"),
    **dict.fromkeys(
        ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "posix"), "Linux and macOS"
    ),
}
_TEXT_MODE = re.compile(r"[rwaxt+]{1,4}")
_PROCESS_CALLS = tuple(
    f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")
)


def check_paths(files: Iterable[str]) -> list[Finding]:
    """Faults of relative POSIX paths: `name-refused`, `name-reserved`, `name-ending`, `name-not-nfc`,
    `name-long`, `name-twin`.

    A folder's name is judged once, with the first path that has it.
    """
    findings: list[Finding] = []
    seen: set[str] = set()
    spelled: dict[str, str] = {}
    for file in files:
        if len(file) > MAX_PATH:
            findings.append(
                Finding(file, 0, "name-long", f"the path has {len(file)} characters, {MAX_PATH} are safe")
            )
        for part in _new_parts(file, seen):
            name = part.rpartition("/")[2]
            findings.extend(Finding(file, 0, rule, message) for rule, message in _name_faults(name))
            key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
            if key in spelled:
                message = f'"{part}" and "{spelled[key]}" are the same file on Windows and macOS'
                findings.append(Finding(file, 0, "name-twin", message))
            spelled.setdefault(key, part)
    return findings


def check_source(source: Source) -> list[Finding]:
    """Faults of one source: `no-encoding` (text in the system's code page) and `one-platform-import`."""
    return sorted([*_unencoded(source), *_foreign_imports(source)])


def _new_parts(file: str, seen: set[str]) -> Iterator[str]:
    folders = (str(parent) for parent in PurePosixPath(file).parents)
    for part in (*(folder for folder in folders if folder not in (".", "/")), file):
        if part not in seen:
            seen.add(part)
            yield part


def _name_faults(name: str) -> Iterator[tuple[str, str]]:
    if refused := _REFUSED.search(name):
        yield "name-refused", f'"{name}" has {refused.group()!r}, which Windows refuses'
    if _RESERVED.fullmatch(name.partition(".")[0].rstrip(" ")):
        yield "name-reserved", f'"{name}" is the name of a device on Windows'
    if name.endswith((".", " ")):
        yield "name-ending", f'"{name}" ends in a dot or a space, which Windows drops'
    if not unicodedata.is_normalized("NFC", name):
        yield "name-not-nfc", f'"{name}" is not in normal form C, so some systems cannot open it'


def _unencoded(source: Source) -> Iterator[Finding]:
    for node in source.nodes:
        if isinstance(node, ast.Call) and _lacks_encoding(source, node):
            message = 'text without an encoding is in the system code page; pass encoding="utf-8"'
            yield source.finding(node, "no-encoding", message)


def _lacks_encoding(source: Source, call: ast.Call) -> bool:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in keywords or None in keywords or any(isinstance(arg, ast.Starred) for arg in call.args):
        return False
    name = source.dotted(call.func)
    if name in ("open", "io.open"):
        return len(call.args) < 4 and _is_text(call.args[1] if len(call.args) > 1 else keywords.get("mode"))
    if name in _PROCESS_CALLS:
        return any(_is_true(keywords.get(key)) for key in ("text", "universal_newlines"))
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr == "read_text":
        return not call.args
    if call.func.attr == "write_text":
        return len(call.args) < 2
    # Any object may have a method `open`; with a mode as its first argument it is a path.
    mode = call.args[0] if call.args else keywords.get("mode")
    return call.func.attr == "open" and len(call.args) < 3 and mode is not None and _is_text(mode)


def _is_text(mode: ast.expr | None) -> bool:
    if mode is None:
        return True
    return (
        isinstance(mode, ast.Constant)
        and isinstance(mode.value, str)
        and bool(_TEXT_MODE.fullmatch(mode.value))
    )


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _foreign_imports(source: Source) -> Iterator[Finding]:
    """One-platform imports that run when the module is imported: not in functions, and not guarded."""
    for node in unguarded(source):
        for module in _modules(node) if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            if module in _ONE_PLATFORM:
                message = f'"{module}" is for {_ONE_PLATFORM[module]} only; guard its import by sys.platform'
                yield source.finding(node, "one-platform-import", message)


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]] if not node.level else []
    return [alias.name.partition(".")[0] for alias in node.names]
