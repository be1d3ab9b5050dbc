"""The clean restart: a run works in a Python that has read nothing of the candidate's folder or the caller's
environment (`python -I`, scrubbed variables, an empty working folder)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import certify

# What fails before the run begins is the harness's fault: 4. Python by itself leaves with 1, "rejected".
_CHILD = """
import sys
sys.path.append(sys.argv[1])
try:
    from certify.run import main_restarted
except Exception:
    sys.excepthook(*sys.exc_info())
    sys.exit(4)
sys.exit(main_restarted(sys.argv[2]))
"""
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "COLUMNS",
    "CI",
    "TMPDIR",
    "TEMP",
    "SYSTEMROOT",
    "LOCALAPPDATA",
    "XDG_CACHE_HOME",
    "SD_CERTIFY_CACHE",
    "CUDA_VISIBLE_DEVICES",
)


def clean_environment() -> dict[str, str]:
    """What a run may know of the caller's environment: no PYTHON*, PYTEST_*, LD_* and no secrets."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def run_cleanly(order: dict[str, Any]) -> int:
    """Starts the run that `order` describes, waits for it, and gives back its exit code."""
    parent = str(Path(certify.__path__[0]).resolve().parent)
    command = [sys.executable, "-I", "-B", "-c", _CHILD, parent, json.dumps(order)]
    with tempfile.TemporaryDirectory(prefix="certify-") as empty:
        child = subprocess.Popen(command, env=clean_environment(), cwd=empty)
        # Ctrl-C reaches the child too, which then writes what it has.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        terminate = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        try:
            code = child.wait()
        finally:
            signal.signal(signal.SIGINT, previous)
            signal.signal(signal.SIGTERM, terminate)
    return code if code >= 0 else 4
