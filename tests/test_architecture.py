"""The floors of the house and the arrows between its rooms (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lint import CHECKS

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
PACKAGES = ("certify", "reference_engine", "reports", "suites")
# Floor by floor from the ground: a room imports what lies below it, and nothing beside or above it.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("terms", "errors", "text", "reference_engine", "certify"),
    ("record", "decoders", "submission", "instruments"),
    ("reports", "verdict", "terminal", "sandbox", "candidate", "plan"),
    ("measure", "outputs"),
    ("run", "suites"),
    ("cli",),
    ("__main__", "pytest_entry"),
)
# Room -> what nothing in it may import, though it lies below, or is no room of ours.
NEVER = {
    "reference_engine": ("certify", "suites", "reports", "pytest"),
    "certify/terms": ("pydantic", "numpy", "certify.errors", "certify.text"),
    "certify/errors.py": ("pydantic", "numpy", "rich"),
    "certify/text.py": ("pydantic", "numpy", "rich"),
    "certify/instruments": (
        "pytest",
        "certify.decoders",
        "torch",
        "cv2",
        "imwatermark",
    ),
    "certify/sandbox/host": ("pytest", "certify.sandbox.guest", "reference_engine", "torch"),
    "certify/sandbox/jail": ("certify.sandbox.host", "certify.sandbox.guest", "certify.record", "numpy"),
    "certify/record": ("reference_engine", "certify.decoders"),
    "certify/verdict": ("certify.instruments", "certify.decoders", "reference_engine"),
    "certify/verdict/verdict.py": ("pydantic", "certify.record"),
    "certify/outputs": ("certify.sandbox", "certify.instruments", "certify.verdict", "pytest"),
    "certify/terminal": ("certify.instruments", "certify.submission"),
    "certify": ("suites", "certify.suites", "torch", "diffusers", "transformers", "cv2", "imwatermark"),
    "reports": ("certify.instruments", "certify.submission", "pytest"),
    "suites": ("certify.terminal", "torch", "diffusers"),
}
# Scripts that run in a child of their own, where a native library reads what others made.
APART = ("guest", "decoders")
# What runs beside the candidate, by a name of its own (certify/sandbox/host/guest_copy.py): the standard
# library, numpy and the engine alone, and each other by relative imports. The adapter for pipelines opens
# them with torch, the nursery names what it warms, and an image that a call starts from is one of PIL's, as
# the engine takes it. memray traces where it is installed.
BESIDE = tuple(f"certify/sandbox/{part}" for part in ("guest", "jail", "heap.py", "protocol.py"))
GUEST_MAY = ("numpy", "PIL", "reference_engine", "torch", "memray")
LOOSE = {"__init__.py", "__main__.py", "pytest_entry.py", "errors.py", "text.py"}
# Calls that hold a test to something, as `assert` does: of pytest, and of its fixture `pytester`.
ASSERTING = {"raises", "warns", "fail", "assert_outcomes", "fnmatch_lines"}


def modules(room: str) -> Iterator[Path]:
    place = ROOT / room
    yield from [place] if place.suffix else sorted(place.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The absolute names of what a module imports, in functions and for types too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def room_of(name: str) -> str:
    """The room that a dotted name of ours lies in: `certify.record.journal` lies in `record`."""
    parts = name.removeprefix("certify.").split(".")
    return parts[0]


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_a_room_imports_what_lies_on_lower_floors() -> None:
    wrong = []
    for path in (path for package in PACKAGES for path in modules(package)):
        room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name in imported(path):
            if name.split(".")[0] not in PACKAGES:
                continue
            other = room_of(name) if name != "certify" else "certify"
            if other not in {row for rooms in FLOORS for row in rooms}:
                continue  # a name of certify/__init__.py
            if other != room and floor_of(other) >= floor_of(room):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []


def test_the_house_has_at_most_seven_floors_and_every_room_stands_on_one() -> None:
    assert len(FLOORS) <= 7
    rooms = {path.stem for path in (ROOT / "certify").iterdir() if path.suffix == ".py" or path.is_dir()}
    named = {row for rooms in FLOORS for row in rooms} - {"certify", "reference_engine", "reports", "suites"}
    assert named == {row for row in rooms if row not in ("__init__", "__pycache__", "py")}


def test_nothing_else_lies_loose_at_the_top() -> None:
    assert {path.name for path in (ROOT / "certify").glob("*.py")} <= LOOSE


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
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not is_in(name, GUEST_MAY)
        and not name.startswith("certify.sandbox")
    ]
    assert foreign == []


def test_what_runs_beside_the_candidate_knows_no_more_of_the_harness_than_its_own_rooms() -> None:
    own = {Path(room).stem for room in BESIDE}
    for path in (path for room in BESIDE for path in modules(room)):
        above = len(path.relative_to(ROOT / "certify" / "sandbox").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level < above or (node.module or "").partition(".")[0] in own
        assert "certify" not in path.read_text("utf-8"), f"{path} says who runs it"


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


@pytest.mark.parametrize("room", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(room: str) -> None:
    assert import_circles(import_graph(ROOT / room)) == []


@pytest.mark.parametrize("room", PACKAGES)
def test_no_module_is_long(room: str) -> None:
    assert [str(path) for path in modules(room) if len(path.read_text("utf-8").splitlines()) > 400] == []


def test_every_folder_of_code_is_a_package() -> None:
    """setup.py packs what has an `__init__.py`: an installation would lack the rest."""
    for room in PACKAGES:
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


def test_every_file_of_data_is_packed() -> None:
    """By the patterns of pyproject.toml: kinds of files, and the folders that are no packages."""
    data = PYPROJECT.partition("[tool.setuptools.package-data]")[2].partition("\n[")[0]
    patterns = re.findall(r'"\*(\.\w+)"', data)
    for room in PACKAGES:
        for path in (ROOT / room).rglob("*"):
            is_source = path.suffix == ".py" or "__pycache__" in path.parts or path.is_dir()
            is_named = path.suffix in patterns or path.name in ("NOTICE", "py.typed")
            assert is_source or is_named or path.parent.name == "data", path
            is_beside_code = (path.parent / "__init__.py").is_file()
            assert is_source or is_beside_code or f'"{path.parent.name}/*"' in data, path


def test_nothing_but_what_the_user_names_can_be_contacted() -> None:
    """SECURITY.md says so. Both modules take the address from their caller, who has it from the user."""
    clients = ("urllib.request", "http.client", "requests", "urllib3", "httpx", "aiohttp", "huggingface_hub")
    files = [path for room in ("certify", "suites", "reports", "reference_engine") for path in modules(room)]
    users = {path.name for path in files for name in imported(path) if is_in(name, clients)}
    assert users == {"resolution.py", "download_http.py"}


def test_no_test_asserts_nothing() -> None:
    """That something does not raise is no result; what it gives back is."""
    files = [file for file in (ROOT / "tests").rglob("test_*.py") if "defects" not in file.parts]
    tests = [(file, node) for file in files for node in found_in(file)]
    assert len(tests) > 1000
    assert [f"{file.relative_to(ROOT)}: {node.name}" for file, node in tests if not holds(node)] == []


def found_in(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            yield node


def holds(test: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Assert)
        or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ASSERTING
        )
        for node in ast.walk(test)
    )


def test_the_hooks_of_a_commit_are_the_checks_of_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = {hook["id"]: hook["entry"] for repo in config["repos"] for hook in repo["hooks"]}
    assert hooks == {name: f"python -m tests.lint {name}" for name in CHECKS}
