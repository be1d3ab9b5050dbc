"""What `pytest` and `pytest -m proof` collect together, against a list from elsewhere.

`python -m tests.proof.collected` prints each test and its run; `python -m tests.proof.collected LIST`
prints how that differs from LIST, the output of `pytest --collect-only -q` of another commit, and ends with 1
where a test of LIST is gone. What differs in its folder alone is the same test.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = {"pytest": "not proof", "proof": "proof"}


def collected(marks: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", marks]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(ended.stdout[-2000:] + ended.stderr[-2000:])
    return names(ended.stdout)


def names(text: str) -> list[str]:
    """Files that moved to another folder keep their tests' names."""
    parts = [line.partition("::") for line in text.splitlines() if ".py::" in line]
    return [f"{file.rpartition('/')[2]}::{name}" for file, _, name in parts]


def main() -> int:
    runs = {run: collected(marks) for run, marks in RUNS.items()}
    if not sys.argv[1:]:
        for run, found in runs.items():
            print(*(f"{run:<6}  {name}" for name in found), sep="\n")
        return 0
    there = Counter(name for found in runs.values() for name in found)
    before = Counter(names(Path(sys.argv[1]).read_text("utf-8")))
    gone, new = sorted((before - there).elements()), sorted((there - before).elements())
    print(*(f"gone  {name}" for name in gone), *(f"new   {name}" for name in new), sep="\n")
    print(f"{sum(before.values())} there, {sum(there.values())} here; {len(gone)} gone, {len(new)} new")
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
