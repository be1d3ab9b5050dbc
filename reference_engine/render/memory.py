"""Estimates the memory of a generation before anything is allocated, and handles allocations that fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from ..errors import OutOfMemory
from ..models.folder import COMPONENTS, weight_shapes
from .calibration import Calibration
from .dryrun import Peak, allocation_model
from .tiles import DECODER_OVERLAP, Grid

Result = TypeVar("Result")

PIXELS_PER_LATENT = 8


@dataclass(frozen=True)
class Estimate:
    """Bytes of the `weights` held at once, and of the `activations` at their peak."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations


def estimate(
    model: Path,
    width: int,
    height: int,
    *,
    rows: int = 2,
    cuda: bool = False,
    medvram: bool = False,
    tile: int = 0,
    decoder_tile: int = 0,
    encode: bool = False,
    calibration: Calibration | None = None,
) -> Estimate:
    """Estimates rendering width x height pixels with the model in the folder `model`. Loads nothing.

    `rows` is the UNet's batch size (2 with guidance, times the images at once). `tile` and `decoder_tile` are
    the sides in pixels of the UNet's and the decoder's tiles, 0 for no tiles. `encode` includes encoding an
    initial image. Weights and activations are float16 on CUDA, and float32 elsewhere. With `medvram` only the
    largest part counts. The first call for a model and `rows` runs it twice without data (a second or two);
    later calls are arithmetic.
    """
    known = calibration or Calibration.of(model, cuda)
    high, wide = height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT
    decoded = _area(high, wide, decoder_tile, DECODER_OVERLAP) if decoder_tile else high * wide
    stages = [("unet", rows, _area(high, wide, tile)), ("decode", 1, decoded)]
    if encode:
        stages.append(("encode", 1, _area(high, wide, decoder_tile, DECODER_OVERLAP)))
    peak = _peak(
        [allocation_model(model, stage, n, copies=not cuda).peak(area) for stage, n, area in stages],
        cuda,
        known,
    )
    parts = _parts(model)
    held = max(parts) if medvram and cuda else sum(parts)
    image = 4 * 3 * width * height * (2 if decoder_tile else 1)
    """The image in float32; with tiles also the image that they are blended into."""
    return Estimate(held * (2 if cuda else 4), peak + image + known.base)


def _area(height: int, width: int, tile: int, overlap: int | None = None) -> int:
    """Latents of one tile of a field, or of the whole field where `tile` is 0."""
    if not tile:
        return height * width
    side = tile // PIXELS_PER_LATENT
    grid = Grid.over(height, width, side) if overlap is None else Grid.over(height, width, side, overlap)
    return math.prod(grid.tile)


def _peak(stages: Sequence[Peak], cuda: bool, known: Calibration) -> int:
    """Bytes at the peak of stages that follow each other.

    On the CPU large blocks are freed at once, but the heap of small blocks keeps its largest size.
    """
    if cuda:
        return int(max(stage.total for stage in stages) / 2 * known.factor)
    return int(max(stage.large for stage in stages) + max(stage.small for stage in stages) * known.factor)


def refusal(needed: Estimate, limit: int) -> OutOfMemory:
    """The error for a generation that needs more than `limit` bytes."""
    return OutOfMemory(
        f"The generation needs about {size_text(needed.total)} ({size_text(needed.weights)} of weights, "
        f"{size_text(needed.activations)} while rendering), more than memory_limit, {size_text(limit)}. "
        "Nothing was allocated.",
        [*OutOfMemory.REMEDIES, f'Or raise memory_limit to "{math.ceil(needed.total / 2**20)}MB".'],
    )


def raising_out_of_memory(work: Callable[[], Result]) -> Result:
    """Returns `work()`. An allocation that the machine refuses raises OutOfMemory."""
    result, failure = attempted(work)
    if failure:
        raise OutOfMemory(f"The machine has no memory left for this generation: {failure}")
    return result  # type: ignore[return-value]


def attempted(work: Callable[[], Result]) -> tuple[Result | None, str]:
    """Returns the result of `work()` and an empty string; or None and the reason why an allocation failed,
    after everything that `work` held was released. Other errors are raised.
    """
    try:
        return work(), ""
    except MemoryError as error:
        failure = str(error) or "an allocation was refused"
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        failure = str(error).splitlines()[0]
    # Outside the handlers, because the error's traceback keeps every tensor of the failed run alive.
    _release()
    return None, failure


_REFUSED = ("can't allocate memory", "not enough memory", "CUDA out of memory")
"""Torch's messages on the CPU, and in other cases without an exception class."""


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
def _parts(model: Path) -> tuple[int, ...]:
    """The number of values in each part's weights."""
    return tuple(
        sum(math.prod(shape) for shape in weight_shapes(model / name).values()) for name in COMPONENTS
    )


def size_text(count: int) -> str:
    """A number of bytes, for people."""
    return f"{count / 2**30:.2f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
