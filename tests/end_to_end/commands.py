"""Running the command line as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
# The console script beside this Python: `python -m` would put the current folder on the path.
CERTIFY = str(Path(sys.executable).with_name("certify"))


def certify(
    *words: str | Path, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """`certify WORDS` with captured output; the environment is the caller's with `variables` added."""
    return subprocess.run(
        [CERTIFY, *map(str, words)],
        cwd=cwd or ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
