"""Measures how much memory a device uses beyond the live tensors, with two small real runs.

On the CPU, blocks under 4 MiB come from a heap that fragments: at the peak they use three times their size.
Larger blocks use their own size. On CUDA the caching allocator rounds sizes, and libraries have workspaces.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ..models.cache import cache_folder
from .caps import steady_heap
from .dryrun import allocation_model

MARGIN = 1.1
"""Factor on measurements: peaks of equal runs differ by this much."""
REPEATS = 3
_RULE = 2
"""Increased when the meaning of factor or base changes, so that older measurements are not read."""
_SIDES = (16, 32)
"""Sides of the two runs in latents: 128 and 256 pixels."""


@dataclass(frozen=True)
class Calibration:
    """Peak = `factor` x live bytes + `base` bytes; on the CPU the factor applies only to small blocks."""

    factor: float
    base: int
    measured: bool = False

    @staticmethod
    def of(model: Path, cuda: bool) -> Calibration:
        """The measurement for this model, device and torch version, or else the device's bound."""
        return _stored(_file(model, cuda)) or (CUDA if cuda else CPU)


CPU = Calibration(3.0, 3 * 2**20)
"""An upper bound of measurements at 64 to 1024 pixels with two sizes of UNet and of decoder."""
CUDA = Calibration(1.3, 128 * 2**20)
_BOUNDS = {False: (3.0, 3.5), True: (1.0, 1.6)}
"""The accepted range of a measured factor, by `cuda`: a noisy run must not lead to a low estimate."""


def once(model: Any) -> None:
    """Calibrates for a model on the GPU, which takes a moment, unless this has been done before."""
    if not Calibration.of(model.path, cuda=True).measured and model.unet.device.type == "cuda":
        calibrate(model, "cuda")


def calibrate(model: Any, device: str, *, unet: Any = None) -> Calibration:
    """Runs the loaded model's UNet and decoder at 128 and 256 pixels, and stores the measurement for later
    estimates. If peaks cannot be read (not Linux, no CUDA), returns the device's bound and stores nothing.
    """
    import torch

    cuda = device == "cuda"
    steady_heap()
    points: list[tuple[float, float]] = []
    with torch.inference_mode():
        for stage in ("unet", "decode"):
            run = partial(_unet, unet or model.unet) if stage == "unet" else partial(_decode, model.vae)
            run(_SIDES[0], device)  # one-time setup does not count
            model_of_stage = allocation_model(model.path, stage, 2 if stage == "unet" else 1, copies=not cuda)
            for side in _SIDES:
                live, real = model_of_stage.peak(side * side), _peak(partial(run, side, device), cuda)
                if real is None:
                    return CUDA if cuda else CPU
                points.append((live.total / 2, real) if cuda else (live.small, real - live.large))
    calibration = _fitted_on_cuda(points) if cuda else _fitted_on_cpu(points)
    _store(_file(model.path, cuda), calibration)
    return calibration


def _fitted_on_cuda(points: Sequence[tuple[float, float]]) -> Calibration:
    """The steepest line through (live, real) of one stage at two sizes, raised to bound all points."""
    slopes = [
        (far[1] - near[1]) / (far[0] - near[0]) for near, far in zip(points[::2], points[1::2], strict=True)
    ]
    factor = _believed(max(slopes), cuda=True)
    excess = max(real - factor * live for live, real in points)
    return Calibration(factor, max(int(excess * MARGIN), CUDA.base), measured=True)


def _fitted_on_cpu(points: Sequence[tuple[float, float]]) -> Calibration:
    """The largest ratio of heap memory to live bytes. The base is the same everywhere."""
    return Calibration(
        _believed(max((real - CPU.base) / live for live, real in points), cuda=False), CPU.base, measured=True
    )


def _believed(factor: float, *, cuda: bool) -> float:
    low, high = _BOUNDS[cuda]
    return min(max(factor * MARGIN, low), high)


def _peak(run: Callable[[], Any], cuda: bool) -> int | None:
    peaks = [_cuda_peak(run) if cuda else _resident_peak(run) for _ in range(REPEATS)]
    known = [peak for peak in peaks if peak is not None]
    return max(known, default=None)


def _unet(unet: Any, side: int, device: str) -> Any:
    import torch

    width = int(unet.config.cross_attention_dim)
    text = torch.zeros(2, 77, width, device=device, dtype=unet.dtype)
    seen = torch.zeros(2, 4, side, side, device=device, dtype=unet.dtype)
    return unet(seen, torch.ones((), device=device), encoder_hidden_states=text, return_dict=False)


def _decode(vae: Any, side: int, device: str) -> Any:
    import torch

    return vae.decode(torch.zeros(1, 4, side, side, device=device, dtype=vae.dtype), return_dict=False)


def _cuda_peak(run: Callable[[], Any]) -> int:
    import torch

    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    run()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_reserved() - before)


def _resident_peak(run: Callable[[], Any]) -> int | None:
    """The rise of the process's resident memory during `run`; None where it cannot be read."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        before = _status("VmRSS")
        run()
        return _status("VmHWM") - before
    except (OSError, AttributeError):
        return None


def _status(key: str) -> int:
    text = Path("/proc/self/status").read_text()
    match = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise OSError(f"no {key} in /proc/self/status")
    return int(match[1]) * 1024


def _file(model: Path, cuda: bool) -> Path:
    import hashlib

    import torch

    device = "cuda" if cuda else "cpu"
    if cuda and torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    configs = b"".join((model / part / "config.json").read_bytes() for part in ("unet", "vae"))
    key = hashlib.sha256(configs + f"{_RULE} {device} {torch.__version__}".encode()).hexdigest()[:16]
    return cache_folder() / "calibrations" / f"{key}.json"


@lru_cache(maxsize=32)
def _stored(file: Path) -> Calibration | None:
    try:
        return Calibration(**json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _store(file: Path, calibration: Calibration) -> None:
    with suppress(OSError):  # an unwritable cache costs only accuracy
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(asdict(calibration), stream)
        Path(name).replace(file)
    _stored.cache_clear()
