"""The resources of a process tree by name, seen from outside: descriptors, threads, processes and files.

Numbers in names are replaced by `#`, so that similar resources are counted together.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from .resources import HAS_PROC, tree

MOST_FILES = 20_000
_PROC = Path("/proc")
# Random names of tempfile have eight characters.
_VARYING = re.compile(r"(?<=tmp)[a-z0-9_]{8}|[0-9a-f]{8,}|\d+")


def names_held(pid: int, folder: Path) -> dict[str, Counter[str]]:
    """For each resource (`fds`, `threads`, `children`, `files`) the count of each name; Linux only."""
    pids = tree(pid) if HAS_PROC else []
    return {
        "fds": Counter(_same(target) for process in pids for target in _targets(process)),
        "threads": Counter(_same(name) for process in pids for name in _threads(process)),
        "children": Counter(_same(_command(process)) for process in pids[1:]),
        "files": Counter(_files(folder)),
    }


def grown(before: Counter[str], after: Counter[str], most: int = 3) -> list[tuple[str, int]]:
    """The names whose count grew, largest growth first."""
    return (after - before).most_common(most)


def _same(name: str) -> str:
    return _VARYING.sub("#", name)[:120]


def _targets(pid: int) -> list[str]:
    targets = []
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                targets.append(str(entry.readlink()))
    return targets


def _threads(pid: int) -> list[str]:
    names = []
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                names.append((entry / "comm").read_text("utf-8", "replace").strip())
    return names


def _command(pid: int) -> str:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        return words.strip() or "a zombie: its parent has not waited for it"
    except OSError:
        return "gone"


def _files(folder: Path) -> list[str]:
    names = []
    with suppress(OSError):
        for number, path in enumerate(folder.rglob("*")):
            if number >= MOST_FILES:
                break
            names.append(_same(path.relative_to(folder).as_posix()))
    return names
