"""Predicts what a module allocates, from runs on tensors without data.

The module is built and run under torch's FakeTensorMode, so nothing is allocated and no weight is read. A
dispatch mode records when each storage is created and freed. Two such runs at small sizes give each storage's
size as a linear function of the number of pixels. The peak at any other size is then arithmetic.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import allocations
from .allocations import AllocationTrace, Event

MAPPED = 4 * 2**20
"""Blocks of this size and more are returned to the system at once (see `caps.steady_heap`). Smaller blocks
share a heap, which fragments.
"""


@dataclass(frozen=True)
class Peak:
    """The most bytes live at once: in blocks below MAPPED, in larger blocks, and in total. The total may be
    less than the sum, because the two peaks may be at different times.
    """

    small: int
    large: int
    total: int


@dataclass(frozen=True)
class AllocationModel:
    """Predicts allocations at any number of pixels, from traces of one module at two sizes."""

    near: AllocationTrace
    far: AllocationTrace
    near_pixels: int
    far_pixels: int

    def peak(self, pixels: int) -> Peak:
        """The peak for `pixels` latents or pixels, the unit in which the traces were counted."""
        import numpy as np

        near, far = (np.array(trace.sizes, dtype=np.float64) for trace in (self.near, self.far))
        share = (pixels - self.near_pixels) / (self.far_pixels - self.near_pixels)
        sizes = np.maximum(near + (far - near) * share, 0.0)
        numbers, signs = np.array(self.near.events).T
        moves = signs * sizes[numbers]
        large = sizes[numbers] >= MAPPED
        kinds = ~large, large, np.ones_like(large)
        peaks = (np.cumsum(np.where(kind, moves, 0.0)).max(initial=0.0) for kind in kinds)
        return Peak(*(int(peak) for peak in peaks))


def trace_allocations(
    build: Callable[[], Any], call: Callable[[Any], Any], *, copies: bool
) -> AllocationTrace:
    """Builds a module and runs `call(module)` without data; its weights do not count.

    With `copies` each convolution also holds the copies that convolutions on the CPU make of their input,
    weights and output (see `_repacked`).
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), torch.no_grad():
        module = build().eval()
        watch = _watcher(copies)
        for tensor in (*module.parameters(), *module.buffers()):
            watch.know(tensor)
        with watch:
            call(module)
        watch.closed = True
    return AllocationTrace(tuple(watch.events), tuple(watch.sizes))


def _watcher(copies: bool) -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter

    base: Any = TorchDispatchMode

    class Watch(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.events: list[Event] = []
            self.sizes: list[int] = []
            self.alive: set[int] = set()
            self.closed = False

        def know(self, tensor: Any) -> None:
            self.alive.add(tensor.untyped_storage()._cdata)

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            working, leaving = (
                _repacked(args[0], args[1], result) if copies and _convolves(function) else ((), ())
            )
            self._briefly(working)  # while the result is reserved but not written yet
            for tensor in tree_iter(result):
                if isinstance(tensor, torch.Tensor):
                    self._born(tensor.untyped_storage())
            self._briefly(leaving)
            return result

        def _born(self, storage: Any) -> None:
            key = storage._cdata
            if key in self.alive:
                return
            self.alive.add(key)
            number = self._event(storage.nbytes())
            weakref.finalize(storage, self._gone, key, number)

        def _gone(self, key: int, number: int) -> None:
            self.alive.discard(key)
            if not self.closed:
                self.events.append((number, -1))

        def _briefly(self, sizes: tuple[int, ...]) -> None:
            numbers = [self._event(size) for size in sizes]
            self.events += [(number, -1) for number in numbers]

        def _event(self, size: int) -> int:
            self.sizes.append(size)
            self.events.append((len(self.sizes) - 1, 1))
            return len(self.sizes) - 1

    return Watch()


_BLOCK = 16
"""Channels in a block of oneDNN's layout for AVX-512. AVX2 has blocks of 8, and needs no more memory."""


def _convolves(function: Any) -> bool:
    return "convolution" in str(function)


def _repacked(seen: Any, weight: Any, result: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bytes of the copies that a convolution on the CPU holds while it works, and while it copies its result.

    oneDNN works on blocks of channels, and pads the last one. Input of less than a block is not copied. After
    the work the copy of the input is freed, and the copy of the output is written into the result.
    """

    def blocked(tensor: Any) -> int:
        channels = tensor.shape[1]
        return int(tensor.nbytes // channels * -(-channels // _BLOCK) * _BLOCK)

    taken = blocked(seen) if seen.shape[1] >= _BLOCK else 0
    given = blocked(result)
    return (taken, weight.nbytes, given), (weight.nbytes, given)


STAGES = ("unet", "decode", "encode")
_NEAR, _FAR = 16, 32
"""Sides in latents of the two traced runs."""


@lru_cache(maxsize=64)
def allocation_model(model: Path, stage: str, rows: int, copies: bool) -> AllocationModel:
    """The allocations of one stage ("unet", "decode" or "encode") of the model in the folder `model`
    (diffusers layout), with a batch of `rows`, by number of latents and in float32. Only config.json is read,
    and what `keep_allocations` kept for it.
    """
    kept = allocations.read(model, _key(model, stage, rows, copies))
    near, far = kept or tuple(_run(model, stage, rows, copies, side) for side in (_NEAR, _FAR))
    if near.events != far.events:
        raise ValueError(f"The {stage} of {model} takes another path at another size.")
    return AllocationModel(near, far, _NEAR**2, _FAR**2)


def keep_allocations(model: Path, *, copies: bool = True) -> None:
    """Keeps the traces of a plain image with guidance in the model's folder, so that no process that opens
    it traces them again. Raises OSError where the folder cannot be written.
    """
    kept = {}
    for stage, rows in (("unet", 2), ("decode", 1)):
        law = allocation_model(model, stage, rows, copies)
        kept[_key(model, stage, rows, copies)] = (law.near, law.far)
    allocations.write(model, kept)


def _key(model: Path, stage: str, rows: int, copies: bool) -> str:
    """Names all that a trace depends on: the module's configuration and the libraries that run it."""
    config = (_part(model, stage) / "config.json").read_bytes()
    versions = [version(name) for name in ("torch", "diffusers")]
    text = json.dumps([hashlib.sha256(config).hexdigest(), stage, rows, copies, _NEAR, _FAR, *versions])
    return hashlib.sha256(text.encode()).hexdigest()


def _part(model: Path, stage: str) -> Path:
    return model / ("unet" if stage == "unet" else "vae")


def _run(model: Path, stage: str, rows: int, copies: bool, side: int) -> AllocationTrace:
    import diffusers
    import torch

    config = json.loads((_part(model, stage) / "config.json").read_text("utf-8"))
    kind: Any = diffusers.UNet2DConditionModel if stage == "unet" else diffusers.AutoencoderKL

    def call(module: Any) -> Any:
        if stage == "unet":
            text = torch.empty(rows, 77, config["cross_attention_dim"])
            seen = torch.empty(rows, 4, side, side)
            return module(seen, torch.ones(()), encoder_hidden_states=text, return_dict=False)
        if stage == "decode":
            return module.decode(torch.empty(rows, 4, side, side), return_dict=False)
        return module.encode(torch.empty(rows, 3, side * 8, side * 8), return_dict=False)

    return trace_allocations(lambda: kind.from_config(config).requires_grad_(False), call, copies=copies)
