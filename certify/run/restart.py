"""The clean restart: a run works in a Python that has read nothing of the candidate's folder or the caller's
environment (`python -I`, scrubbed variables, an empty working folder)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import certify
from certify.run.request import RunRequest
from certify.streams import say

# What escapes from a run is the harness's fault: 4. Python by itself leaves with 1, "rejected".
_CHILD = """
import sys
sys.path.append(sys.argv[1])
try:
    from certify.streams import settle
    from certify.run.judge import main_restarted
    code = main_restarted(sys.argv[2])
    settle()
except Exception:
    sys.excepthook(*sys.exc_info())
    code = 4
sys.exit(code)
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
    # Where pip gets a candidate's further packages from.
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
)


def clean_environment() -> dict[str, str]:
    """What a run may know of the caller's environment: no PYTHON*, PYTEST_*, LD_* and no secrets."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def run_cleanly(request: RunRequest, kept: bool = True) -> int:
    """Starts the run that `request` describes, waits for it, and gives back its exit code.

    A run that a signal killed is a harness error, 4; what it measured is pointed to where `kept` says that
    its folder stays.
    """
    parent = str(Path(certify.__path__[0]).resolve().parent)
    command = [sys.executable, "-I", "-B", "-c", _CHILD, parent, json.dumps(request.to_dict())]
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
    if code >= 0:
        # Python's own codes (120: the last flush failed) are none of ours.
        return min(code, 4)
    say(_ended_by(-code, Path(request.out) if kept else None), sys.stderr)
    return 4


def _ended_by(number: int, out: Path | None) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal
        name = f"signal {number}"
    told = f"certify: the run was ended by {name}"
    if out is None or not (out / "journal.ndjson").is_file():
        return f"{told}."
    folder = shlex.quote(str(out))
    return (
        f"{told}; `certify report {folder}` shows what was measured, "
        f"and `certify run --resume {folder}` goes on."
    )
