"""The Python of a ComfyUI or a WebUI is told by the folders around it, or by what is installed there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from certify.cli.doctor import diagnose
from certify.cli.installation import warn_of_host_program
from certify.plan import host_program as module
from certify.plan.host_program import HostProgram, host_program

COMFY = ("main.py", "nodes.py", "comfy/")
WEBUI = ("webui.py", "launch.py", "modules/", "extensions/")


def nothing(_: str) -> bool:
    return False


def made(root: Path, names: tuple[str, ...]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name.endswith("/"):
            (root / name).mkdir()
        else:
            (root / name).touch()
    return root


@pytest.mark.parametrize("inside", ["venv", ".venv", "env/python", "."])
@pytest.mark.parametrize(("names", "name"), [(COMFY, "ComfyUI"), (WEBUI, "a Stable Diffusion WebUI")])
def test_a_python_inside_the_program_is_its_own(
    tmp_path: Path, inside: str, names: tuple[str, ...], name: str
) -> None:
    root = made(tmp_path / "program", names)
    assert host_program(root / inside, nothing) == HostProgram(name, str(root))


@pytest.mark.parametrize("shipped", ["python_embeded", "python_embedded"])
def test_a_python_that_the_program_ships_lies_beside_it(tmp_path: Path, shipped: str) -> None:
    root = made(tmp_path / "portable" / "ComfyUI", COMFY)
    assert host_program(root.parent / shipped, nothing) == HostProgram("ComfyUI", str(root))


def test_so_does_that_of_a_webui_for_windows(tmp_path: Path) -> None:
    root = made(tmp_path / "webui", (*WEBUI[:3], "extensions-builtin/"))
    found = host_program(tmp_path / "system" / "python", nothing)
    assert found == HostProgram("a Stable Diffusion WebUI", str(root))


@pytest.mark.parametrize("name", ["comfyui-frontend-package", "comfyui-workflow-templates", "comfy-cli"])
def test_what_is_installed_tells_of_it_too(tmp_path: Path, name: str) -> None:
    found = host_program(tmp_path / "venv", name.__eq__)
    assert found == HostProgram("ComfyUI", f"{name} is installed")


def test_an_ordinary_environment_is_nobodys(tmp_path: Path) -> None:
    made(tmp_path / "ComfyUI", COMFY)
    made(tmp_path / "work", ("main.py", "launch.py", "modules/"))
    beside, inside = tmp_path / "venv", tmp_path / "work" / "venv"
    plugin = tmp_path / "ComfyUI" / "custom_nodes" / "plugin" / "venv"
    assert [host_program(prefix, nothing) for prefix in (beside, inside, plugin)] == [None, None, None]
    assert host_program(tmp_path / "gone" / "python_embeded", nothing) is None


def test_this_python_is_asked_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DISTRIBUTIONS", ("no-such-distribution",))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert host_program() is None
    monkeypatch.setattr(module, "_DISTRIBUTIONS", ("no-such-distribution", "pytest"))
    assert host_program() == HostProgram("ComfyUI", "pytest is installed")


def test_the_warning_is_one_line_on_stderr_and_one_of_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(module, "_DISTRIBUTIONS", ())
    warn_of_host_program()
    assert capsys.readouterr().err == ""
    made(tmp_path, COMFY)
    warn_of_host_program()
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert told.err.startswith(f"warning: This Python belongs to ComfyUI ({tmp_path})")
    (row,) = [row for row in diagnose() if row.name == "python"]
    assert not row.ok and "environment of its own" in row.remedy
