"""Control groups (cgroup v2): one for each worker, where systemd has delegated a group to us.

The supervisor is started in a scope that systemd creates and delegates. A group is divided only if it has
systemd's delegation mark and contains no other process. See
https://docs.kernel.org/admin-guide/cgroup-v2.html. Uses the standard library only, because the supervisor
imports it.
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
# The group of the supervisor and the nursery: a group with child groups cannot contain processes itself.
LEAF = "keepers"
# Tasks per worker; the kernel counts threads too, the watchdog counts processes.
MAX_THREADS = 512
_PROBE_DEADLINE = 5.0


@dataclass(frozen=True)
class Scope:
    """The command prefix that starts a command in a delegated group; empty where there is none."""

    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def scope() -> Scope:
    """The scope of systemd (root's or the user's instance), tested once before it is used."""
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
    prefix = (program, *kind, "--scope", "--quiet", "--collect", "--property=Delegate=memory pids", "--")
    # systemd-run needs these variables to find its manager; the command that it starts does not.
    candidate = Scope((*prefix, *_without(session)), session)
    return candidate if _works(candidate) else Scope()


def _without(environment: dict[str, str]) -> tuple[str, ...]:
    program = shutil.which("env") or "/usr/bin/env"
    return (program, *(word for name in environment for word in ("-u", name))) if environment else ()


def _works(scope: Scope) -> bool:
    try:
        completed = subprocess.run(
            [*scope.command, "true"],
            env={"PATH": os.defpath, **scope.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_DEADLINE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return completed.returncode == 0


def own_group(membership: str) -> str:
    """The cgroup v2 path (`0::/...`) in the text of /proc/self/cgroup; empty where there is none."""
    lines = [line for line in membership.splitlines() if line.startswith("0::/")]
    return lines[0][len("0::") :] if lines else ""


def is_delegated(group: Path) -> bool:
    """Whether systemd has marked the group as delegated (systemd.resource-control(5), Delegate=)."""
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
    """Prepares the group of `pid`, its only process, for child groups: `pid` moves into a leaf group, and the
    memory and pids controllers are enabled for child groups.

    Returns the group's folder, or an empty text and the reason; then nothing is changed.
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
        return (str(base), "") if _divide(base, pid) else ("", f"{path} contains other processes")
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
        """Raises OSError where the group cannot be created; nothing is left then."""
        group = cls(base / name, limits)
        group.path.mkdir()
        try:
            _write(group.path / "memory.max", str(limits["memory"]))
            _write(group.path / "memory.oom.group", "1")
            _write(group.path / "pids.max", str(max(MAX_THREADS, limits["processes"])))
        except OSError:
            group.remove()
            raise
        # A kernel without swap accounting has no such file.
        with contextlib.suppress(OSError):
            _write(group.path / "memory.swap.max", "0")
        return group

    def members(self) -> set[int]:
        return _members(self.path)

    def passed(self) -> str:
        """The limit for which the kernel ended the worker, as text; empty where it did not."""
        if not self._count("memory.events", "oom_kill") + self._count("memory.events", "oom_group_kill"):
            return ""
        peak = self._number("memory.peak")
        usage = f"{peak >> 20} MiB at most" if peak else "more wanted"
        return f"memory, limit {self.limits['memory'] >> 20} MiB ({usage})"

    def remove(self) -> None:
        """Kills the processes in the group, then removes it."""
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
    """Kills every process in the group at once, forks included (Linux 5.14)."""
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
    """Writes to an existing file and never creates one: cgroup files belong to the kernel."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
