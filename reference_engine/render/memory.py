"""How much memory a generation takes, told before any of it is allocated.

Weights, plus the larger of the UNet's and the decoder's activations. These grow linearly with the number of
latents and pixels, and with the width of the first level. Counting live tensors gave 26 values a channel,
latent and row of the batch in the UNet (at 96 and at 320 channels), 6 a channel and pixel in the decoder (at
128).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from ..errors import OutOfMemory
from ..models.folder import COMPONENTS, weight_shapes
from ..preprocess.request import Request

Result = TypeVar("Result")

UNET_VALUES = 26
DECODER_VALUES = 6
CPU_FACTOR, CPU_BASE = 1.7, 50 * 2**20
"""The CPU's convolution kernels keep repacked copies: 1.7 x live tensors + 50 MiB bounds what was
measured.
"""


@dataclass(frozen=True)
class Estimate:
    """Bytes: `weights` held at once, and the peak of `activations`."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations


def estimate(
    model: Path, width: int, height: int, *, rows: int = 2, cuda: bool = False, medvram: bool = False
) -> Estimate:
    """Memory for one image of width x height pixels; `rows` is the UNet's batch (2 with guidance).

    On CUDA weights and activations are float16, elsewhere float32; with `medvram` only the largest part
    counts.
    """
    parts, unet_width, decoder_width = _facts(model)
    item = 2 if cuda else 4
    unet = UNET_VALUES * unet_width * (width // 8) * (height // 8) * rows * item
    decoder = DECODER_VALUES * decoder_width * width * height * item
    peak = max(unet, decoder)
    if not cuda:
        peak = int(peak * CPU_FACTOR) + CPU_BASE
    held = max(parts) if medvram and cuda else sum(parts)
    return Estimate(held * item, peak)


@dataclass(frozen=True)
class MemoryCheck:
    """The stage that refuses what would not fit, before a model is loaded. `needed` gives a request's
    estimate.
    """

    needed: Callable[[Request], Estimate]
    limit: int
    name: str = "memory"

    def __call__(self, request: Request) -> Request:
        check(self.needed(request), self.limit)
        return request


def check(needed: Estimate, limit: int) -> None:
    """Raises OutOfMemory where `needed` is over `limit` bytes."""
    if needed.total > limit:
        raise OutOfMemory(
            f"The generation needs about {_size(needed.total)} ({_size(needed.weights)} of weights, "
            f"{_size(needed.activations)} while rendering), more than memory_limit, {_size(limit)}. "
            "Nothing was allocated.",
            [*OutOfMemory.REMEDIES, f'Or raise memory_limit to "{math.ceil(needed.total / 2**20)}MB".'],
        )


def out_of_memory_told(work: Callable[[], Result]) -> Result:
    """What `work()` returns; an allocation that the machine refuses becomes OutOfMemory."""
    try:
        return work()
    except MemoryError as error:
        failure = str(error) or "an allocation was refused"
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        failure = str(error).splitlines()[0]
    # Outside the handlers, since the first error's traceback keeps every tensor of the failed run alive.
    _release()
    raise OutOfMemory(f"The machine has no memory left for this generation: {failure}")


_REFUSED = ("can't allocate memory", "not enough memory", "CUDA out of memory")
"""How torch words it on the CPU, and where it has no class of its own for it."""


def _is_out_of_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError) or any(sign in str(error) for sign in _REFUSED)


def _release() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@lru_cache(maxsize=16)
def _facts(model: Path) -> tuple[tuple[int, ...], int, int]:
    """Values in each part, and the first levels' channels of UNet and decoder."""
    parts = tuple(
        sum(math.prod(shape) for shape in weight_shapes(model / name).values()) for name in COMPONENTS
    )
    widths = [
        json.loads((model / name / "config.json").read_text("utf-8"))["block_out_channels"][0]
        for name in ("unet", "vae")
    ]
    return parts, widths[0], widths[1]


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
