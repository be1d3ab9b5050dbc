"""The arrows between the rooms point one way (docs/architecture.md)."""

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
# Calls that hold a test to something, as `assert` does: of pytest, and of its fixture `pytester`.
ASSERTING = {"raises", "warns", "fail", "assert_outcomes", "fnmatch_lines"}
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
    users = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(is_in(name, ("certify.cli",)) for name in imported(path))
    }
    assert {path for path in users if not path.startswith("certify/cli/")} == set(FRONT_DOORS)


@pytest.mark.parametrize("room", ["certify", "reference_engine", "reports", "suites"])
def test_no_module_is_long(room: str) -> None:
    assert [str(path) for path in modules(room) if len(path.read_text("utf-8").splitlines()) > 400] == []


def test_every_folder_of_code_is_a_package() -> None:
    """setup.py packs what has an `__init__.py`: an installation would lack the rest."""
    for room in ("certify", "reference_engine", "suites", "reports"):
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


def test_every_file_of_data_is_packed() -> None:
    """By the patterns of pyproject.toml, which name kinds of files and no folders."""
    data = PYPROJECT.partition("[tool.setuptools.package-data]")[2].partition("\n[")[0]
    patterns = re.findall(r'"\*(\.\w+)"', data)
    for room in ("certify", "reference_engine", "suites", "reports"):
        for path in (ROOT / room).rglob("*"):
            is_source = path.suffix == ".py" or "__pycache__" in path.parts or path.is_dir()
            is_named = path.suffix in patterns or path.name in ("NOTICE", "py.typed")
            assert is_source or is_named or path.parent.name == "data", path


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
