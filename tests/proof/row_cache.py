"""Rows that came out as expected before, by the content of everything that they rest on.

With one seed, the same defect judged by the same code on the same machine is the same claim, so `pytest`
need not measure it again. Kept in the user's cache folder, never in the repository; SD_CERTIFY_PROOF_CACHE
names another folder, and where it is empty nothing is remembered. `python -m tests.sensitivity` draws fresh
seeds and asks nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Set
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from tests.proof.bench import SHORT, Row

VARIABLE = "SD_CERTIFY_PROOF_CACHE"
KEPT_DAYS = 30
ROOT = Path(__file__).parents[2]
# Who judges, and what the tests themselves add to that. Reports show what was judged, and change nothing.
_JUDGES = ("certify", "suites", "reference_engine")
_BESIDE = ("tests/proof/bench.py", "tests/proof/scope.py", "tests/defects")
# Each defect is a part of its own key alone.
_DEFECTS = ROOT / "tests" / "defects"


def folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "sd-certify-proof"


@cache
def digest_of_judges() -> str:
    """Over the code that judges and the sound plugin; it changes with every commit that changes one of
    them."""
    files = [path for name in _JUDGES for path in (ROOT / name).rglob("*")]
    files += [path for name in _BESIDE for path in _below(ROOT / name)]
    return _digest(path for path in files if "__pycache__" not in path.parts and path.suffix != ".pyc")


def _below(place: Path) -> Iterable[Path]:
    if place != _DEFECTS:
        return [place]
    return [*place.glob("*.py"), *(place / "sound").rglob("*")]


def _digest(files: Iterable[Path], root: Path = ROOT) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content}  {path.relative_to(root).as_posix()}\n".encode())
    return total.hexdigest()


@cache
def _machine() -> list[str]:
    """Every package that is installed, not only those known to matter; and the system below them."""
    packages = sorted({f"{row.metadata['Name']}=={row.version}" for row in distributions()})
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    return [sys.version, platform.platform(), str(user), str(os.cpu_count()), *packages]


def key(built: Path, expected: dict[str, str], measured: Set[str], seed: str) -> str:
    """Of a row: the plugin's folder as built, what is measured and expected of it, the judges and the
    machine."""
    parts = [_digest(built.rglob("*"), built), sorted(expected.items()), sorted(measured), seed]
    text = json.dumps([*parts, repr(SHORT), digest_of_judges(), _machine()])
    return hashlib.sha256(text.encode()).hexdigest()


def recall(name: str) -> Row | None:
    place = folder()
    if place is None:
        return None
    try:
        return Row(**json.loads((place / f"{name}.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def remember(name: str, row: Row) -> None:
    """Only what came out exactly as expected. A folder that cannot be written is no failure."""
    place = folder()
    if place is None or row.found != row.expected:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        draft = place / f"{name}.{os.getpid()}"
        draft.write_text(json.dumps(vars(row)), "utf-8")
        draft.replace(place / f"{name}.json")
        for old in place.glob("*.json"):
            if time.time() - old.stat().st_mtime > KEPT_DAYS * 86_400:
                old.unlink(missing_ok=True)
    except OSError:
        pass
