"""Where the SDK keeps what it builds, and how a folder appears there whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ENVIRONMENT_VARIABLE = "SD_CERTIFY_CACHE"
_NAME = "sd-certify"


def cache_folder() -> Path:
    """$SD_CERTIFY_CACHE, or `sd-certify` in the user's cache folder as this system has it."""
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
    """`target`, built by `build(folder)` if it is not there yet.

    It is built beside its place and renamed into it, so that nobody sees half of it; of two builders at once
    the second throws its own copy away.
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
