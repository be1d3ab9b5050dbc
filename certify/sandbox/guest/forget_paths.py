"""Removes import paths and finders that do not exist inside the sandbox."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def forget_missing_paths() -> None:
    """Removes unreadable folders from `sys.path` and finders without a file; clears the importer cache."""
    sys.path_importer_cache.clear()
    sys.path[:] = [path for path in sys.path if _can_be_searched(path)]
    for finder in list(sys.meta_path):
        name = getattr(finder, "__module__", "")
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and not Path(file).exists():
            sys.meta_path.remove(finder)
            del sys.modules[name]


def _can_be_searched(path: str) -> bool:
    try:
        os.scandir(path).close()
    except NotADirectoryError:
        return True
    except OSError:
        return False
    return True
