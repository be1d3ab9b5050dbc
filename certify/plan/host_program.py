"""Whether this Python belongs to a program that plugins are made for, such as ComfyUI or a WebUI.

Such a program pins torch and others, and brings packages of its own: what is measured there is no clean run.
Told by names of files and of distributions alone; nothing of the program is imported.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# A Python that such a program ships lies beside it. A virtual environment lies inside it; what lies beside
# one, in a user's folder, is none of its business.
_SHIPPED = ("python_embeded", "python_embedded")
_DISTRIBUTIONS = ("comfyui-frontend-package", "comfyui-workflow-templates", "comfy-cli")


@dataclass(frozen=True)
class HostProgram:
    """`sign` is what it was told by: its folder, or a distribution that is installed here."""

    name: str
    sign: str

    @property
    def warning(self) -> str:
        return (
            f"This Python belongs to {self.name} ({self.sign}), which pins torch and others: a run here is "
            "no clean run. Install sd-certify in a virtual environment of its own."
        )


def host_program(
    prefix: Path | None = None, is_installed: Callable[[str], bool] | None = None
) -> HostProgram | None:
    """The program that this Python belongs to, if it is one that is known. Tests name another Python."""
    prefix = Path(sys.prefix) if prefix is None else prefix
    for folder in _folders_around(prefix):
        if name := _program_in(folder):
            return HostProgram(name, str(folder))
    for distribution in _DISTRIBUTIONS:
        if (is_installed or _is_installed)(distribution):
            return HostProgram("ComfyUI", f"{distribution} is installed")
    return None


def _folders_around(prefix: Path) -> list[Path]:
    """Where the program of a Python in `prefix` may lie.

    `ComfyUI/venv` and `app/env/python` lie one and two folders below it. Further up would blame a plugin's
    own environment in `ComfyUI/custom_nodes/PLUGIN/venv`.
    """
    around = [prefix, *list(prefix.parents)[:2]]
    if prefix.name in _SHIPPED:
        around += _below(prefix.parent)
    elif (prefix.parent.name, prefix.name) == ("system", "python"):  # the WebUIs' packages for Windows
        around += _below(prefix.parent.parent)
    return around


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _program_in(folder: Path) -> str:
    """The program whose root `folder` is, or an empty string."""
    if _holds(folder, "main.py", "nodes.py", "comfy/"):
        return "ComfyUI"
    if _holds(folder, "webui.py", "launch.py", "modules/") and (
        _holds(folder, "extensions/") or _holds(folder, "extensions-builtin/")
    ):
        return "a Stable Diffusion WebUI"
    return ""


def _holds(folder: Path, *names: str) -> bool:
    """Whether all are there; a name that ends in a slash is a folder's."""
    try:
        return all(
            (folder / name).is_dir() if name.endswith("/") else (folder / name).is_file() for name in names
        )
    except OSError:
        return False


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
