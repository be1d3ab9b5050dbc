"""Control groups (cgroup v2): one for each worker, where the system has delegated a group to us.

A group is never taken from anybody: our supervisor is started in a scope of its own, which systemd makes and
delegates, and only a group that carries systemd's mark and holds nobody but us is divided. All as in
https://docs.kernel.org/admin-guide/cgroup-v2.html. Standard library alone; for the supervisor, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
NEEDED = ("memory", "pids")
# Where the supervisor and its nursery live: a group that has others below holds no process itself.
LEAF = "keepers"
# Threads count too; the watchdog counts processes.
MAX_THREADS = 512
_PROBE_DEADLINE = 5.0


@dataclass(frozen=True)
class Scope:
    """What to put before a command so that it starts in a delegated group; empty where nothing does."""

    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def scope() -> Scope:
    """By systemd, tried once before it is relied on: root's own, or the user's."""
    program = shutil.which("systemd-run")
    if sys.platform != "linux" or program is None or not (MOUNTED / "cgroup.controllers").exists():
        return Scope()
    kind: tuple[str, ...] = ()
    session: dict[str, str] = {}
    if os.geteuid() == 0:
        there = Path("/run/systemd/system").is_dir()
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        there = bool(runtime) and Path(runtime, "systemd", "private").exists()
        kind, session = ("--user",), {"XDG_RUNTIME_DIR": runtime}
    if not there:
        return Scope()
    made = (program, *kind, "--scope", "--quiet", "--collect", "--property=Delegate=memory pids", "--")
    # What systemd-run needs to find its manager is nothing for those it starts.
    found = Scope((*made, *_without(session)), session)
    return found if _works(found) else Scope()


def _without(environment: dict[str, str]) -> tuple[str, ...]:
    program = shutil.which("env") or "/usr/bin/env"
    return (program, *(word for name in environment for word in ("-u", name))) if environment else ()


def _works(tried: Scope) -> bool:
    try:
        ended = subprocess.run(
            [*tried.command, "true"],
            env={"PATH": os.defpath, **tried.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_DEADLINE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def own_group(membership: str) -> str:
    """From the text of /proc/self/cgroup the path in version 2 (`0::/...`); empty where there is none."""
    lines = [line for line in membership.splitlines() if line.startswith("0::/")]
    return lines[0][len("0::") :] if lines else ""


def is_delegated(group: Path) -> bool:
    """systemd marks what it has delegated (systemd.resource-control(5), Delegate=)."""
    for mark in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if sys.platform == "linux" and os.getxattr(group, mark) == b"1":
                return True
    return False


def settle(
    pid: int,
    mounted: Path = MOUNTED,
    membership: Path = Path("/proc/self/cgroup"),
    delegated: Callable[[Path], bool] = is_delegated,
) -> tuple[str, str]:
    """Makes the group of `pid`, the only process in it, ready to be divided: it moves into a leaf, and memory
    and processes are counted below.

    Returns the group's folder, or an empty text and why there is none; then nothing is changed.
    """
    try:
        path = own_group(membership.read_text("ascii", "replace"))
        base = mounted / path.lstrip("/")
        counted = (base / "cgroup.controllers").read_text("ascii").split() if path else []
    except OSError:
        return "", f"no cgroup v2 at {mounted}"
    if not path or not set(NEEDED) <= set(counted):
        return "", f"cgroup v2 counts {' and '.join(counted) or 'nothing'} here, not memory and pids"
    if not delegated(base):
        return "", f"{path} is not delegated to us"
    try:
        return (str(base), "") if _divide(base, pid) else ("", f"others are in {path}, too")
    except OSError as error:
        return "", f"{path} cannot be divided: {error.strerror}"


def _divide(base: Path, pid: int) -> bool:
    if _members(base) != {pid}:
        return False
    leaf = base / LEAF
    leaf.mkdir()
    try:
        _write(leaf / "cgroup.procs", str(pid))
        _write(base / "cgroup.subtree_control", " ".join(f"+{name}" for name in NEEDED))
    except OSError:
        with contextlib.suppress(OSError):
            _write(base / "cgroup.procs", str(pid))
        with contextlib.suppress(OSError):
            leaf.rmdir()
        raise
    return True


@dataclass(frozen=True)
class Group:
    """The control group of one worker."""

    path: Path
    limits: dict[str, int]

    @classmethod
    def make(cls, base: Path, name: str, limits: dict[str, int]) -> Group:
        """Raises OSError where it cannot be made, and leaves nothing then."""
        group = cls(base / name, limits)
        group.path.mkdir()
        try:
            _write(group.path / "memory.max", str(limits["memory"]))
            _write(group.path / "memory.oom.group", "1")
            _write(group.path / "pids.max", str(max(MAX_THREADS, limits["processes"])))
        except OSError:
            group.remove()
            raise
        # A kernel that does not count what is swapped out has no such file.
        with contextlib.suppress(OSError):
            _write(group.path / "memory.swap.max", "0")
        return group

    def members(self) -> set[int]:
        return _members(self.path)

    def passed(self) -> str:
        """The limit for which the kernel ended it, in words; empty where it did not."""
        if not self._count("memory.events", "oom_kill") + self._count("memory.events", "oom_group_kill"):
            return ""
        peak = self._number("memory.peak")
        seen = f"{peak >> 20} MiB at most" if peak else "more wanted"
        return f"memory, limit {self.limits['memory'] >> 20} MiB ({seen})"

    def remove(self) -> None:
        """Ends what is left in it first."""
        kill(self.path)
        for _ in range(50):
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)

    def _count(self, file: str, name: str) -> int:
        for line in _text(self.path / file).splitlines():
            word, _, number = line.partition(" ")
            if word == name and number.strip().isdigit():
                return int(number)
        return 0

    def _number(self, file: str) -> int:
        text = _text(self.path / file).strip()
        return int(text) if text.isdigit() else 0


def kill(group: Path) -> None:
    """Every process in it, at once; those that fork meanwhile, too (Linux 5.14)."""
    with contextlib.suppress(OSError):
        if group.is_dir():
            _write(group / "cgroup.kill", "1")


def _members(group: Path) -> set[int]:
    return {int(word) for word in _text(group / "cgroup.procs").split() if word.isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""


def _write(path: Path, text: str) -> None:
    """Never creates a file: in a real tree there are no others than the kernel's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
