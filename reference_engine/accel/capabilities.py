"""The machine's capabilities, determined without using them."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from ..errors import SDKError


class CapabilityMissing(SDKError):
    """The configuration requires something that this machine or this installation cannot do."""

    code = "ERR_CAPABILITY"


@dataclass(frozen=True)
class Capability:
    """`detail` says what is available, or why nothing is. `remedy` says what to do in that case."""

    name: str
    available: bool
    detail: str
    remedy: str = ""


def capabilities() -> tuple[Capability, ...]:
    """CUDA, streams, compiling (for the GPU if there is one, else for the CPU) and TensorRT, in that order.
    Imports torch, and allocates nothing.
    """
    cuda = _cuda()
    streams = Capability(
        "streams",
        cuda.available,
        "several images at a time on one GPU" if cuda.available else f"need CUDA: {cuda.detail}",
        cuda.remedy and "Set streams to 1, or run on a machine with a CUDA device.",
    )
    return cuda, streams, _compile(cuda), _tensorrt(cuda)


def require(acceleration: str = "none", streams: int = 1, device: str = "cpu") -> None:
    """Raises CapabilityMissing if the machine lacks what `acceleration` and `streams` need on `device`, the
    one that will be used ("cpu" or "cuda").
    """
    wanted = [
        name for name, needed in (("streams", streams > 1), (acceleration, acceleration != "none")) if needed
    ]
    if not wanted:
        return
    known = {one.name: one for one in capabilities()}
    lacking = [known[name] for name in wanted if not known[name].available]
    problems = [f"{one.name}: {one.detail}" for one in lacking]
    remedies = [one.remedy for one in lacking]
    if device != "cuda":
        for name in wanted:
            if name != "compile" and known[name].available:
                problems.append(f"{name}: works only on a GPU, and device is {device}")
                remedies.append('Set device to "cuda".')
    if problems:
        raise CapabilityMissing(
            f"This machine cannot do what the configuration requires: {'; '.join(problems)}.", remedies
        )


def _cuda() -> Capability:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Capability("cuda", True, f"{properties.name}, {properties.total_memory / 2**30:.0f} GB")
    built = torch.version.cuda
    if built is None:
        return Capability("cuda", False, "this torch is built without CUDA", "Install a CUDA build of torch.")
    return Capability(
        "cuda", False, "torch finds no GPU", "Install the GPU's driver, or run on a machine with a GPU."
    )


def _compile(cuda: Capability) -> Capability:
    if cuda.available:
        if find_spec("triton") is None:
            return Capability(
                "compile",
                False,
                "torch.compile needs triton for a GPU",
                'Install triton, or set acceleration to "none".',
            )
        return Capability("compile", True, "torch.compile with CUDA graphs")
    compiler = os.environ.get("CXX") or ("cl" if sys.platform == "win32" else "g++")
    path = shutil.which(compiler) or shutil.which("clang++")
    if path is None:
        return Capability(
            "compile",
            False,
            f"torch.compile needs a C++ compiler for the CPU, and {compiler} is not installed",
            'Install one, or set acceleration to "none".',
        )
    return Capability("compile", True, f"torch.compile for the CPU, with {path}")


def _tensorrt(cuda: Capability) -> Capability:
    remedy = 'Install the extra "tensorrt" on a machine with a CUDA device, or set acceleration to "none".'
    if not cuda.available:
        return Capability("tensorrt", False, f"needs CUDA: {cuda.detail}", remedy)
    if find_spec("torch_tensorrt") is None:
        return Capability("tensorrt", False, "the package torch-tensorrt is not installed", remedy)
    return Capability("tensorrt", True, "through torch-tensorrt")
