"""The arrows between the rooms point one way (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
# Room -> what nothing in it may import.
NEVER = {
    "reference_engine": ("certify", "suites", "reports", "pytest"),
    "certify/instruments": ("pytest", "certify.host", "certify.guest", "torch", "cv2", "imwatermark"),
    "certify/host": ("pytest", "certify.guest", "reference_engine", "torch"),
    "certify/jail": ("certify.host", "certify.guest", "certify.record", "numpy", "reference_engine"),
    "certify/outputs": ("certify.host", "certify.instruments", "pytest"),
    "certify/verdict.py": ("certify.host", "certify.instruments", "certify.plan"),
    "reports": ("certify.host", "certify.instruments", "certify.verdict", "pytest"),
    "certify": ("suites", "certify.suites", "torch", "diffusers", "transformers", "cv2", "imwatermark"),
    "suites": ("certify.run", "certify.cli", "torch", "diffusers"),
}
# Scripts that run in a child of their own, where a native library reads what others made.
APART = ("guest", "apart")
# What runs beside the candidate, by a name of its own (certify/host/library.py): the standard library,
# numpy and the engine alone, and each other by relative imports. The adapter for pipelines opens them with
# torch, the nursery names what it warms, and a picture that a call starts from is one of PIL's, as the engine
# takes it. memray traces where it is installed.
BESIDE = ("certify/guest", "certify/jail", "certify/protocol.py")
GUEST_MAY = ("numpy", "PIL", "reference_engine", "torch", "memray")
FRONT_DOORS = ("certify/__main__.py", "certify/pytest_entry.py")


def modules(room: str) -> Iterator[Path]:
    place = ROOT / room
    yield from [place] if place.suffix else sorted(place.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("room", NEVER)
def test_a_room_imports_nothing_that_it_must_not_know(room: str) -> None:
    files = [path for path in modules(room) if not set(APART) & set(path.relative_to(ROOT).parts)]
    assert files
    assert [(str(path), name) for path in files for name in imported(path) if is_in(name, NEVER[room])] == []


def test_the_guest_is_small_in_what_it_depends_on() -> None:
    foreign = [
        (str(path), name)
        for room in BESIDE
        for path in modules(room)
        for name in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not is_in(name, GUEST_MAY)
    ]
    assert foreign == []


def test_what_runs_beside_the_candidate_knows_no_more_of_the_harness_than_its_own_rooms() -> None:
    for path in (path for room in BESIDE for path in modules(room)):
        above = len(path.relative_to(ROOT / "certify").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level < above or (node.module or "").partition(".")[0] in ("jail", "protocol")
        assert "certify" not in path.read_text("utf-8"), f"{path} says who runs it"


def test_nothing_but_the_front_doors_imports_the_command_line() -> None:
    files = [path for room in ("certify", "suites", "reports") for path in modules(room)]
    users = [str(path.relative_to(ROOT)) for path in files if "certify.cli" in set(imported(path))]
    assert set(users) <= set(FRONT_DOORS)


def import_graph(folder: Path) -> dict[str, set[str]]:
    """For each module of the package in `folder`, the modules of the package that it imports.

    Imports in functions and under TYPE_CHECKING count. So does the `__init__` of each package around an
    imported module, unless the importer is in that package itself.
    """
    package = folder.name
    names: dict[str, Path] = {}
    for path in folder.rglob("*.py"):
        parts = (package, *path.relative_to(folder).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        targets: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
                module = ".".join(part for part in (base, node.module) if part)
                members = {f"{module}.{alias.name}" for alias in node.names}
                # `from package import module` needs the package for its path alone.
                targets |= members & set(names) or {module}
                targets |= {module} if members - set(names) else set()
        parents = {
            target.rsplit(".", depth)[0] for target in targets for depth in range(1, target.count(".") + 1)
        }
        around = {".".join(here[: length + 1]) for length in range(len(here))}
        graph[name] = ((targets | (parents - around)) & set(names)) - {name}
    return graph


def import_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others, sorted."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in graph[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    reach = {name: reachable(name) for name in graph}
    circles = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in graph
        if name in reach[name]
    }
    return [list(circle) for circle in sorted(circles)]


def test_import_circles_are_recognised(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "other").mkdir()
    for name, text in {
        "__init__.py": "from .a import x",
        "a.py": "from . import b",
        "b.py": "def later():\n    from package.inner.c import x",
        "inner/__init__.py": "from ..a import x",
        "inner/c.py": "import json",
        "inner/d.py": "from .c import x",
        "other/__init__.py": "from .e import y",
        "other/e.py": "from . import y",
    }.items():
        (package / name).write_text(text, "utf-8")
    assert import_circles(import_graph(package)) == [
        ["package.a", "package.b", "package.inner"],
        ["package.other", "package.other.e"],
    ]


@pytest.mark.parametrize("room", ["reference_engine"])
def test_no_modules_import_each_other_in_a_circle(room: str) -> None:
    assert import_circles(import_graph(ROOT / room)) == []


@pytest.mark.parametrize("room", ["certify", "reference_engine", "reports", "suites"])
def test_no_module_is_long(room: str) -> None:
    assert [str(path) for path in modules(room) if len(path.read_text("utf-8").splitlines()) > 400] == []


def test_every_folder_of_code_is_packaged() -> None:
    """An installation would lack what is not listed, while a checkout has it."""
    listed = set(re.findall(r'^    "((?:certify|reference_engine)[\w.]*)",$', PYPROJECT, re.MULTILINE))
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for room in ("certify", "reference_engine", "suites", "reports")
        for path in (ROOT / room).rglob("__init__.py")
    }
    outside = {name for name in folders if name.split(".")[0] in ("suites", "reports")}
    assert (folders - outside) | {f"certify.{name}" for name in outside} <= listed
