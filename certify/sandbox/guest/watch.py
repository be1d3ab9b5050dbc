"""Reports what a process does by Python's audit events, without the kernel's help.

Native code bypasses it, a plugin can tamper with its own process, and an `os.open` relative to an open folder
does not name the folder. So the watch can add a finding but never clear a plugin.

Each event is one line `{"kind": ..., "detail": ...}`, written at once to a pipe that forks inherit. Kinds:

- `network`: `VERB HOST:PORT`; connect, bind, sendto, sendmsg, getaddrinfo, gethostbyname or gethostbyaddr
- `resolved`: `HOST ADDRESS`, the result of a lookup
- `local`: `VERB NAME`, sockets that do not leave the machine
- `process`: a program that was started
- `write`: a path outside the allowed folders
- `weights`: `named - PATH`, a file with the name of weights that is read; `LoRA - PATH`, one that the engine
  loads
- `overflow`: the kind with more events than are reported
"""

from __future__ import annotations

import functools
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

MAX_PER_KIND = 150  # events
# Below PIPE_BUF (POSIX: at least 512), so that lines of several processes never mix. In bytes.
MAX_LINE = 400

Report = Callable[[str, str], None]
Acts = Sequence[tuple[str, str]]

_DEVICES = frozenset(f"/dev/{name}" for name in ("null", "tty", "urandom", "zero", "full"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_NAMES_OF_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
# By event: the argument with the path, and the one with its folder's file descriptor (-1: none).
_OF_ENTRIES = {
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
}
_OF_FILES = {
    "os.truncate": ((0, -1),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, -1),),
    "os.removexattr": ((0, -1),),
}
_LOOKUPS: dict[str, Callable[[Any], list[str]]] = {
    "getaddrinfo": lambda answer: [row[4][0] for row in answer],
    "gethostbyname": lambda answer: [answer],
    "gethostbyname_ex": lambda answer: answer[2],
}


class Watch:
    """Reports the acts of this process and its forks to `descriptor` (a non-blocking pipe), permanently.

    The plugin may write below the folders `allowed`. Nothing is stored on the instance, where a plugin could
    reach it. Raises OSError where the descriptor is not open.
    """

    __slots__ = ()

    def __init__(self, allowed: Sequence[str], descriptor: int) -> None:
        report = _make_reporter(descriptor)
        _report_lookups(report)
        sys.addaudithook(_hook(tuple(os.path.realpath(folder) for folder in allowed), report))


def _hook(allowed: tuple[str, ...], report: Report) -> Callable[[str, tuple[Any, ...]], None]:
    readers = _READERS

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        reader = readers.get(name)
        if reader is None:
            return
        # An exception here would be raised in the plugin's code. The code below causes no event that is
        # reported, so there is no recursion.
        with suppress(Exception):
            for kind, detail in reader(name, arguments):
                if kind != "write" or _is_elsewhere(detail, allowed):
                    report(kind, detail)

    return hook


def _make_reporter(descriptor: int) -> Report:
    """Writes each event once per process, or again if the pipe was full; forks inherit the written events."""
    pipe = _identity(descriptor)
    written: dict[str, set[bytes]] = {}
    write = os.write

    def report(kind: str, detail: str) -> None:
        line, of_this_kind = _line(kind, detail), written.setdefault(kind, set())
        if line in of_this_kind:
            return
        if len(of_this_kind) >= MAX_PER_KIND:
            report("overflow", kind)
            return
        with suppress(OSError):
            # A child that closes every descriptor may reuse this number for another file.
            if _identity(descriptor) == pipe:
                write(descriptor, line)
                of_this_kind.add(line)

    return report


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _line(kind: str, detail: str) -> bytes:
    # Lone surrogates cannot be encoded.
    text = detail.encode("utf-8", "backslashreplace").decode()[:MAX_LINE]
    while True:
        line = json.dumps({"kind": kind, "detail": text}, ensure_ascii=False).encode() + b"\n"
        if len(line) <= MAX_LINE:
            return line
        text = text[: len(text) * 7 // 8]


def _report_lookups(report: Report) -> None:
    for name, addresses_in in _LOOKUPS.items():
        setattr(socket, name, _reporting_lookup(getattr(socket, name), addresses_in, report))


def _reporting_lookup(
    look_up: Callable[..., Any], addresses_in: Callable[[Any], list[str]], report: Report
) -> Callable[..., Any]:
    @functools.wraps(look_up)
    def look_up_and_report(*arguments: Any, **named: Any) -> Any:
        answer = look_up(*arguments, **named)
        with suppress(Exception):
            host = _text(arguments[0] if arguments else named["host"])
            for address in addresses_in(answer):
                if address != host:
                    report("resolved", f"{host} {address}")
        return answer

    return look_up_and_report


def _read_address(name: str, arguments: tuple[Any, ...]) -> Acts:
    """A tuple (host, port, ...) is a network address, text is a local name, a number is a kernel address."""
    verb, address = name.partition(".")[2], arguments[1]
    if isinstance(address, tuple):
        if isinstance(address[0], (str, bytes, bytearray)):
            return [("network", f"{verb} {_text(address[0])}:{address[1]}")]
        return [("local", f"{verb} {address}")]
    # None: the address was reported when the socket was connected.
    return [] if address is None else [("local", f"{verb} {_text(address)}".replace("\0", "@"))]


def _read_lookup(name: str, arguments: tuple[Any, ...]) -> Acts:
    port = arguments[1] if len(arguments) > 1 else 0
    return [("network", f"{name.partition('.')[2]} {_text(arguments[0])}:{port}")]


def _read_program(name: str, arguments: tuple[Any, ...]) -> Acts:
    program = _text(arguments[0])
    # os.system takes a whole command line; the arguments may contain a user's prompt.
    return [("process", program.split()[0] if name == "os.system" else program)]


def _read_open(_: str, arguments: tuple[Any, ...]) -> Acts:
    path, mode, flags = arguments
    if not (flags & _WRITING or (mode and any(letter in mode for letter in "wax+"))):
        return _read_weights(path)
    # A descriptor was reported when it was opened.
    return () if isinstance(path, int) else [("write", os.path.realpath(_text(path)))]


def _read_weights(path: Any) -> Acts:
    name = "" if isinstance(path, int) else _text(path)
    named = name.lower().endswith(_NAMES_OF_WEIGHTS)
    return [("weights", f"named - {os.path.realpath(name)}")] if named else ()


def _read_lora(_: str, arguments: tuple[Any, ...]) -> Acts:
    return [("weights", f"LoRA - {os.path.realpath(_text(arguments[0]))}")]


def _read_entries(name: str, arguments: tuple[Any, ...]) -> Acts:
    """Names that are created, removed or changed in a folder: the folder is resolved, the name is not."""
    acts = []
    for entry in _paths(_OF_ENTRIES[name], arguments):
        inside = entry.name not in ("", "..")
        place = Path(os.path.realpath(entry.parent), entry.name) if inside else Path(os.path.realpath(entry))
        # os.makedirs(..., exist_ok=True) also calls it for existing folders.
        if name != "os.mkdir" or not os.path.lexists(place):
            acts.append(("write", str(place)))
    return acts


def _read_files(name: str, arguments: tuple[Any, ...]) -> Acts:
    """Changes to a file itself: symbolic links are followed."""
    if not isinstance(arguments[0], int):
        return [("write", os.path.realpath(file)) for file in _paths(_OF_FILES[name], arguments)]
    place = _place_of(arguments[0])
    # A descriptor that can be truncated was reported when it was opened, or is shared memory.
    return () if name == "os.truncate" or place.startswith("/memfd:") else [("write", place)]


def _read_database(_: str, arguments: tuple[Any, ...]) -> Acts:
    """SQLite's file names (https://www.sqlite.org/uri.html): empty and `:memory:` have no file."""
    name = _text(arguments[0])
    if name.startswith("file:"):
        uri = urlsplit(name)
        if parse_qs(uri.query).get("mode") in (["ro"], ["memory"]):
            return ()
        name = unquote(uri.path)
    return () if name in ("", ":memory:") else [("write", os.path.realpath(name))]


_READERS: dict[str, Callable[[str, tuple[Any, ...]], Acts]] = {
    **dict.fromkeys(("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"), _read_address),
    **dict.fromkeys(("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"), _read_lookup),
    **dict.fromkeys(("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"), _read_program),
    **dict.fromkeys(_OF_ENTRIES, _read_entries),
    **dict.fromkeys(_OF_FILES, _read_files),
    "open": _read_open,
    "reference_engine.lora": _read_lora,
    "sqlite3.connect": _read_database,
}


def _paths(positions: Sequence[tuple[int, int]], arguments: tuple[Any, ...]) -> Iterator[Path]:
    for at, folder_at in positions:
        folder = arguments[folder_at] if folder_at >= 0 else -1
        yield Path(_place_of(folder) if folder >= 0 else "", _text(arguments[at]))


def _place_of(descriptor: int) -> str:
    """The path of an open file; a pipe or a socket has a path below /proc/self."""
    return os.path.realpath(f"/proc/self/fd/{descriptor}")


def _is_elsewhere(place: str, allowed: tuple[str, ...]) -> bool:
    folders = (*allowed, os.path.realpath("/proc/self"))
    return place not in _DEVICES and not any(
        place == folder or place.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders
    )


def _text(value: Any) -> str:
    """The text that the system call gets; methods of classes derived from str or bytes are bypassed."""
    if isinstance(value, (bytes, bytearray)):
        return os.fsdecode(b"".join([value]))
    if isinstance(value, str):
        return str.__str__(value)
    return _text(os.fspath(value)) if isinstance(value, os.PathLike) else str(value)
