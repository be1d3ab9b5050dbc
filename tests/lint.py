"""Every check that runs no test: `python -m tests.lint` runs all of them, `... NAME` those that are named.

`--fix` lets ruff mend what it can. CI, tox and the hooks of pre-commit use the same table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Name -> the module of the tool, its arguments, and what takes their place with `--fix`.
CHECKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ruff": (("ruff", "check", "."), ("ruff", "check", "--fix", ".")),
    "format": (("ruff", "format", "--check", "."), ("ruff", "format", ".")),
    "spelling": (("codespell_lib", "."),) * 2,
    "pyproject": (("validate_pyproject", "pyproject.toml"),) * 2,
    "types": (("mypy",),) * 2,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 where all checks passed, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.lint", description=__doc__)
    parser.add_argument("checks", nargs="*", metavar="NAME", help=", ".join(CHECKS))
    parser.add_argument("--fix", action="store_true", help="mend what ruff can mend")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.checks) - set(CHECKS)
    if unknown:
        parser.error(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    failed = [name for name in arguments.checks or CHECKS if not _passes(name, arguments.fix)]
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def _passes(name: str, fix: bool) -> bool:
    command = CHECKS[name][fix]
    print(f"== {name}: {' '.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
