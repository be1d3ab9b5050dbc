"""Checks the limits of a worker's process tree that the kernel does not enforce: processes, memory, disk.

Uses the standard library only, because the supervisor imports it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from dataclasses import dataclass, field

from certify.sandbox.host import process_tree as tree

DISK_EVERY = 1.0  # seconds
MAX_FILES = 200_000
# The pause after an exact memory reading, as a multiple of the time that the reading took.
RESTS = 9


@dataclass
class Watched:
    """A worker's process tree: its root (the keeper), the folder that it may write, and its limits."""

    keeper: int
    folder: str
    limits: dict[str, int]
    _looked: float = field(default=0.0, repr=False)
    _rests_until: float = field(default=0.0, repr=False)
    _resident_until: int = field(default=0, repr=False)

    def passed(self, parents: dict[int, int]) -> str:
        """The limit that this tree exceeds, as text; empty where it exceeds none."""
        members = tree.below(self.keeper, parents) | {self.keeper}
        if len(members) > self.limits["processes"]:
            return f"{len(members)} processes, limit {self.limits['processes']}"
        return self._memory_passed(members) or self._disk_passed(members)

    def _memory_passed(self, members: set[int]) -> str:
        """Resident memory is cheap to read, but counts a page that forks share once per process. The
        proportional share is exact, but takes milliseconds per process. So it is read in a bounded part of
        the time: after a reading below the limit the next one waits, unless the tree has grown by more than
        the rest."""
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
        # A check costs more for more files.
        self._looked = time.monotonic() + files / 20_000
        if hidden:
            return f"a folder that cannot be listed ({hidden})"
        if files > MAX_FILES:
            return f"{files} files, limit {MAX_FILES}"
        if size > self.limits["disk"]:
            return f"{size >> 20} MiB on disk, limit {self.limits['disk'] >> 20} MiB"
        return ""


def resident_of(members: set[int]) -> int:
    """Anonymous and shared memory in bytes: an upper bound (shared pages count repeatedly)."""
    return sum(_bytes(pid, "status", name) for pid in members for name in ("RssAnon:", "RssShmem:"))


def proportional_of(members: set[int]) -> int:
    """The same, with each page divided by the number of processes that share it."""
    return sum(_bytes(pid, "smaps_rollup", name) for pid in members for name in ("Pss_Anon:", "Pss_Shmem:"))


def _bytes(pid: int, file: str, name: str) -> int:
    words = tree.field(pid, file, name)
    return int(words[0]) * 1024 if words else 0


def disk_use(folder: str) -> tuple[int, int, str]:
    """Allocated bytes on disk and the number of entries below a folder. Holes do not count, a file with
    several names counts once, and symbolic links are not followed. The third value is why a folder could not
    be listed (no permission, or a path that is too long); empty where all could."""
    size, files, hidden = 0, 0, ""
    linked: set[tuple[int, int]] = set()
    open_folders = [folder]
    while open_folders and files <= MAX_FILES:
        try:
            entries = os.scandir(open_folders.pop())
        except (FileNotFoundError, NotADirectoryError):
            # Deleted meanwhile.
            continue
        except OSError as error:
            hidden = error.strerror or "unknown reason"
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
    """Bytes of open files without a name: deleted files and memory files."""
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
    """Allocated bytes; 0 for a file with several names that was counted before."""
    if status.st_nlink != 1:
        key = status.st_dev, status.st_ino
        if key in counted:
            return 0
        counted.add(key)
    # Windows does not report the allocated size.
    return status.st_size if sys.platform == "win32" else status.st_blocks * 512
