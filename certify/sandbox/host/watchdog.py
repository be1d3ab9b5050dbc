"""Limits on what a worker's tree holds, where the kernel does not keep them: processes, memory, disk.

Standard library alone; for the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from dataclasses import dataclass, field

from certify.sandbox.host import process_tree as tree

DISK_EVERY = 1.0
MAX_FILES = 200_000
# As often as the time that an exact look at memory took.
RESTS = 9


@dataclass
class Watched:
    """A worker's tree: the keeper at its root, the folder it writes in, and its limits (bytes and counts)."""

    keeper: int
    folder: str
    limits: dict[str, int]
    _looked: float = field(default=0.0, repr=False)
    _rests_until: float = field(default=0.0, repr=False)
    _resident_until: int = field(default=0, repr=False)

    def passed(self, parents: dict[int, int]) -> str:
        """The limit that this tree has passed, in words; empty where it keeps to all."""
        members = tree.below(self.keeper, parents) | {self.keeper}
        if len(members) > self.limits["processes"]:
            return f"{len(members)} processes, limit {self.limits['processes']}"
        return self._memory_passed(members) or self._disk_passed(members)

    def _memory_passed(self, members: set[int]) -> str:
        """What is resident counts pages that forks share once for each of them, and so too much, but is cheap
        to read. The proportional share takes milliseconds a process, so it is read in a bounded part of the
        time: after a look that found the limit kept, the next waits, unless more came than was left."""
        limit, resident = self.limits["memory"], resident_of(members)
        started = time.monotonic()
        if resident <= limit or (resident <= self._resident_until and started < self._rests_until):
            return ""
        held = proportional_of(members)
        ended = time.monotonic()
        self._rests_until = ended + RESTS * (ended - started)
        self._resident_until = resident + limit - held
        return f"{held >> 20} MiB of memory, limit {limit >> 20} MiB" if held > limit else ""

    def _disk_passed(self, members: set[int]) -> str:
        if time.monotonic() - self._looked < DISK_EVERY:
            return ""
        size, files, hidden = disk_use(self.folder)
        size += nameless_use(members)
        # Looking costs more where there is more to look at.
        self._looked = time.monotonic() + files / 20_000
        if hidden:
            return f"a folder that cannot be looked into ({hidden})"
        if files > MAX_FILES:
            return f"{files} files, limit {MAX_FILES}"
        if size > self.limits["disk"]:
            return f"{size >> 20} MiB on disk, limit {self.limits['disk'] >> 20} MiB"
        return ""


def resident_of(members: set[int]) -> int:
    """Bytes of anonymous and shared memory in the members' pages; at least what they hold."""
    return sum(_bytes(pid, "status", name) for pid in members for name in ("RssAnon:", "RssShmem:"))


def proportional_of(members: set[int]) -> int:
    """The same, each page divided by those who have it."""
    return sum(_bytes(pid, "smaps_rollup", name) for pid in members for name in ("Pss_Anon:", "Pss_Shmem:"))


def _bytes(pid: int, file: str, name: str) -> int:
    words = tree.field(pid, file, name)
    return int(words[0]) * 1024 if words else 0


def disk_use(folder: str) -> tuple[int, int, str]:
    """Bytes on disk (as allocated: holes do not count, and a file of several names once) and entries below a
    folder; symbolic links are not followed. Last, why a folder could not be looked into: closed to us, or its
    path too long; empty where all could."""
    size, files, hidden = 0, 0, ""
    linked: set[tuple[int, int]] = set()
    open_folders = [folder]
    while open_folders and files <= MAX_FILES:
        try:
            entries = os.scandir(open_folders.pop())
        except (FileNotFoundError, NotADirectoryError):
            # Gone meanwhile.
            continue
        except OSError as error:
            hidden = error.strerror or "for no reason told"
            continue
        with entries:
            for entry in entries:
                files += 1
                try:
                    if entry.is_dir(follow_symlinks=False):
                        open_folders.append(entry.path)
                    else:
                        size += _size(entry.stat(follow_symlinks=False), linked)
                except OSError:
                    continue
    return size, files, hidden


def nameless_use(members: set[int]) -> int:
    """Bytes of files that a tree holds open though they have no name: deleted ones, and memory files."""
    counted: set[tuple[int, int]] = set()
    size = 0
    for pid in members:
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                        size += _size(status, counted)
    return size


def _size(status: os.stat_result, counted: set[tuple[int, int]]) -> int:
    """Bytes on disk; none where a file that may turn up again was counted before."""
    if status.st_nlink != 1:
        key = status.st_dev, status.st_ino
        if key in counted:
            return 0
        counted.add(key)
    # Windows does not tell what is allocated.
    return status.st_size if sys.platform == "win32" else status.st_blocks * 512
