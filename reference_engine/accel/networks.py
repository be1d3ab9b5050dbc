"""Accelerated forms of a UNet. Each is built once, and lives as long as the UNet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

OPT_BATCH_SIZE = 4
"""The batch size that TensorRT chooses its kernels for, and the largest batch. Guidance doubles the rows."""
_ROWS = 2 * OPT_BATCH_SIZE

_making = threading.Lock()

Network = Callable[..., tuple[Any]]


def network(unet: Any, acceleration: str) -> Network:
    """The function to call instead of `unet`, with the same arguments: (latents, timestep,
    encoder_hidden_states=..., return_dict=False). It returns a tuple of one tensor.
    """
    if acceleration == "none":
        return unet  # type: ignore[no-any-return]
    return _compiled(unet) if acceleration == "compile" else _by_tensorrt(unet)


class _FasterForms(dict[Any, Any]):
    """The accelerated forms of a UNet. The UNet holds them, so that they are freed with it. A copy of the
    UNet (with LoRAs) starts without any.
    """

    def __deepcopy__(self, memo: Any) -> _FasterForms:
        return _FasterForms()


def _once(unet: Any, key: Any, make: Callable[[], Any]) -> Any:
    with _making:
        kept = unet.__dict__.setdefault("_faster_forms", _FasterForms())
        if key not in kept:
            kept[key] = make()
        return kept[key]


def _compiled(unet: Any) -> Network:
    import torch

    cuda = unet.device.type == "cuda"
    # "reduce-overhead" records CUDA graphs; shapes are static, so each new size is compiled again.
    mode = "reduce-overhead" if cuda else "default"
    quick = _once(unet, "compile", lambda: torch.compile(unet.forward, mode=mode, dynamic=False))

    def call(*arguments: Any, **keywords: Any) -> tuple[Any]:
        if cuda:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        # A CUDA graph overwrites this result with its next one.
        return (quick(*arguments, **keywords)[0].clone(),)

    return call


def _by_tensorrt(unet: Any) -> Network:
    def call(seen: Any, moment: Any, *, encoder_hidden_states: Any, return_dict: bool = False) -> tuple[Any]:
        key = ("tensorrt", *seen.shape[1:], *encoder_hidden_states.shape[1:])
        engine = _once(unet, key, lambda: _engine(unet, seen, moment, encoder_hidden_states))
        pieces = zip(seen.split(_ROWS), encoder_hidden_states.split(_ROWS), strict=True)
        parts = [engine(part, moment.reshape(1), text) for part, text in pieces]
        if len(parts) == 1:
            return (parts[0],)
        import torch

        return (torch.cat(parts),)

    return call


def _engine(unet: Any, seen: Any, moment: Any, text: Any) -> Any:
    """A TensorRT engine for one size of latents and 1 to `_ROWS` rows, its kernels chosen for `_ROWS`."""
    import torch
    import torch_tensorrt

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = unet

        def forward(self, seen: Any, moment: Any, text: Any) -> Any:
            return self.unet(seen, moment, encoder_hidden_states=text, return_dict=False)[0]

    def rows(tensor: Any, name: str) -> Any:
        rest = tuple(tensor.shape[1:])
        return torch_tensorrt.Input(
            min_shape=(1, *rest),
            opt_shape=(_ROWS, *rest),
            max_shape=(_ROWS, *rest),
            dtype=tensor.dtype,
            name=name,
        )

    moment = torch_tensorrt.Input(shape=(1,), dtype=torch.float32)
    with torch.inference_mode(False), torch.no_grad():
        return torch_tensorrt.compile(
            Positional().eval(),
            ir="dynamo",
            inputs=[rows(seen, "seen"), moment, rows(text, "text")],
            enabled_precisions={unet.dtype},
            require_full_compilation=False,
        )
