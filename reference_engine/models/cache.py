"""The SDK's cache folder, atomic creation of folders in it, and locks between processes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ENVIRONMENT_VARIABLE = "SD_CERTIFY_CACHE"
_NAME = "sd-certify"


def cache_folder() -> Path:
    """$SD_CERTIFY_CACHE, or `sd-certify` in the system's cache folder for the user."""
    if chosen := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base or Path.home() / "AppData" / "Local") / _NAME / "Cache"
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen) / _NAME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / _NAME
    return Path.home() / ".cache" / _NAME


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, built by `build(folder)` if it does not exist yet.

    It is built next to its final place and then renamed, so that it is never seen incomplete. Of two
    concurrent builders the second discards its copy.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fresh = workshop / target.name
        fresh.mkdir()
        build(fresh)
        try:
            fresh.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return target


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the lock file `path` against all other threads and processes of this machine. The lock ends with
    the context, or with the process.

    `waiting` is called every 50 ms while another user holds the lock, and may raise. Raises OSError if `path`
    cannot be written.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _try_lock(descriptor):
                # The previous holder may have removed this file; then a new file is the lock.
                if _same_file(descriptor, path):
                    break
            else:
                waiting()
                time.sleep(0.05)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield
    finally:
        if sys.platform == "win32":  # Windows does not remove open files, so another holder's lock stays
            os.close(descriptor)
            with suppress(OSError):
                path.unlink()
        else:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
