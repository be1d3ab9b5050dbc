"""Checks the hand-kept `packages.json`: `python -m certify.instruments.data.names [LIST...]`.

LIST is a file with the names of an index, a name per line; text after a blank, `=` or `,` is ignored. The
output lists each popular name that is on no LIST, which needs no protection, and
each malicious name that is on a LIST. Nothing is fetched. Exits with 1 if the file is not well-formed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

TABLE = Path(__file__).parent / "packages.json"


def mistakes(table: dict[str, Any]) -> list[str]:
    """Errors of form; names must be normalised (PEP 503), sorted, and on a single list."""
    problems = [
        f"about.{key} is missing" for key in ("popular", "bad", "read") if not table["about"].get(key)
    ]
    for what in ("popular", "bad"):
        names = list(table[what])
        problems += [f"{name} is not normalised" for name in names if canonicalize_name(name) != name]
        problems += [f"{what}: {name} is there twice" for name in set(names) if names.count(name) > 1]
        if names != sorted(names):
            problems.append(f"{what} is not sorted")
    for name, row in table["bad"].items():
        if set(row) != {"versions", "why"} or not row["why"].strip():
            problems.append(f"{name} needs versions and why")
        for part in filter(None, row.get("versions", "").split(",")):
            if not (part.startswith("==") and _is_version(part[2:])):
                problems.append(f"{name}: {part} is no single release")
        if not row.get("versions") and name in table["popular"]:
            problems.append(f"{name} is popular and wholly bad")
    return problems


def names_in(lines: Iterable[str]) -> set[str]:
    return {canonicalize_name(name) for line in lines if (name := re.split(r"[\s=,]", line.strip())[0])}


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def main(lists: list[str]) -> int:
    table = json.loads(TABLE.read_text("utf-8"))
    problems = mistakes(table)
    lines = list(problems)
    known = set().union(*(names_in(Path(name).read_text("utf-8").splitlines()) for name in lists))
    if lists:
        lines += [f"{name}: on none of the lists" for name in table["popular"] if name not in known]
        wholly = (name for name, row in table["bad"].items() if not row["versions"])
        lines += [f"{name}: reported as malicious, and on a list" for name in wholly if name in known]
    print("\n".join(lines) or f"{len(table['popular'])} popular names, {len(table['bad'])} reported ones")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
