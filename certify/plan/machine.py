"""What this machine is, and what can be measured on it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from certify.errors import UserError
from certify.terms.traits import Capability

SYSTEMS: dict[str, Capability] = {"linux": "linux", "darwin": "macos", "win32": "windows"}
# What runs a candidate: its module -> its distribution. OpenCV, which the extra brings too, a run can do
# without; `certify doctor` says where it does not load.
ENGINE = {
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
    "peft": "peft",
    "safetensors": "safetensors",
    "imwatermark": "invisible-watermark",
    "pytest": "pytest",
    "psutil": "psutil",
    "rich": "rich",
}
INSTALL_ENGINE = "pip install 'sd-certify[engine]'"


def this_system() -> str:
    """`linux`, `macos` or `windows`, in the manifest's words; else Python's own name."""
    return SYSTEMS.get(sys.platform, sys.platform)


def capabilities() -> frozenset[Capability]:
    """What requirements may need: the system's name, `worker` (a worker can be started), `cuda`, and the
    programs `uv` and `pip-audit`.
    """
    programs: tuple[Capability, ...] = ("uv", "pip-audit")
    available: set[Capability] = {name for name in programs if find_tool(name)}
    if sys.platform in SYSTEMS:
        available.add(SYSTEMS[sys.platform])
    if sys.platform in SYSTEMS and (sys.platform != "linux" or Path("/proc").is_dir()):
        available.add("worker")
    if gpu_names():
        available.add("cuda")
    return frozenset(available)


def find_tool(name: str) -> str | None:
    """The path of a program, in this environment or on the PATH; None where there is none."""
    beside = Path(sys.executable).parent
    return shutil.which(name, path=str(beside)) or shutil.which(name)


def gpu_names() -> list[str]:
    """NVIDIA GPUs by NVML; empty where there is no driver. Torch is not imported for this."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        # NVML raises its own classes, and OSError without a driver.
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    finally:
        pynvml.nvmlShutdown()


def missing_of_engine() -> list[str]:
    """The packages of the extra `engine` that are not installed. None is imported for this."""
    return [distribution for name, distribution in ENGINE.items() if not _can_be_found(name)]


def _can_be_found(module: str) -> bool:
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def check_device(device: str) -> None:
    """Raises UserError where `device` is `cuda` and there is no GPU: that is no fault of the plugin."""
    if device == "cuda" and not gpu_names():
        raise UserError(
            "--device cuda: this machine has no NVIDIA GPU with a driver.",
            "Use --device cpu or leave the option out; `certify doctor` lists what this machine has.",
        )


def versions() -> dict[str, str]:
    names = ("torch", "diffusers", "transformers", "numpy", "pytest", "invisible-watermark")
    return {name: version_of(name) for name in names}


def version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """The machine, as results.json records it."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "gpu": ", ".join(gpu_names()) or "none",
        **versions(),
    }
