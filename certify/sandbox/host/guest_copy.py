"""A copy of the code that runs beside a candidate, under a neutral package name.

The guest, the jail and the protocol import each other by relative imports only, so they also work as a
package with another name. A worker imports that package and the engine. Where the system has namespaces, the
installed harness itself is hidden from the worker (`harness_paths`).
"""

from __future__ import annotations

import shutil
import sys
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path

import certify

PACKAGE = "_plugin_host"
_FOLDER = "library"
_DISTRIBUTION = "sd-certify"
_PARTS = ("guest", "jail", "heap.py", "protocol.py")
_ENGINE = "reference_engine"


def library_folder(scratch: Path) -> str:
    """The folder of the library for a host with this scratch folder."""
    return str(scratch / _FOLDER)


def copy_library(scratch: Path) -> None:
    """Copies the code that workers import, readable for every user."""
    package = Path(library_folder(scratch), PACKAGE)
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for part in _PARTS:
        # Compiled files hold the path that they were compiled from.
        _copy(_harness() / "sandbox" / part, package / part, "__pycache__")
    _copy(_harness().parent / _ENGINE, package.parent / _ENGINE)
    for path in (package.parent, *package.parent.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _copy(source: Path, target: Path, *ignored: str) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored))
    else:
        shutil.copy2(source, target)


def command(scratch: Path, module: str, call: str) -> list[str]:
    """The command that runs `main(call)` of a library module; appended words become `sys.argv[1:]`."""
    paths = [library_folder(scratch), *_packages_beside_us()]
    script = (
        f"import sys; sys.path[:0] = {paths[:1]}; sys.path += {paths[1:]}; "
        f"from {PACKAGE}.{module} import main; main({call})"
    )
    return [sys.executable, "-I", "-B", "-c", script]


def packages() -> list[str]:
    """The folders from which this Python imports, without a checkout of the harness."""
    # The first is the folder of the started script, unless Python runs isolated.
    paths = sys.path if sys.flags.isolated else sys.path[1:]
    others = [path for path in paths if path and Path(path).resolve() != _harness().parent]
    return [*others, *_packages_beside_us()]


@lru_cache(maxsize=1)
def harness_paths() -> tuple[str, ...]:
    """The files and folders of the installed harness, without the engine's."""
    hidden = {_harness()}
    for distribution in distributions(name=_DISTRIBUTION):
        root = Path(str(distribution.locate_file("")))
        for file in distribution.files or ():
            if file.parts[0] == _ENGINE:
                continue
            is_ours_alone = len(file.parts) > 1 and file.parts[0] not in ("..", "__pycache__")
            hidden.add((root / file.parts[0] if is_ours_alone else root / file).resolve())
    return tuple(sorted(map(str, hidden)))


def _packages_beside_us() -> list[str]:
    """The folder that the harness is installed in with other packages; none for a checkout."""
    folder = _harness().parent
    installed = any(folder.glob(f"{_DISTRIBUTION.replace('-', '_')}-*.dist-info"))
    return [str(folder)] if installed else []


def _harness() -> Path:
    return Path(certify.__path__[0]).resolve()
