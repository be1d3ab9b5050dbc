"""LoRAs: small additions to a UNet, checked against it before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ModelNotLoaded
from .folder import read_header

PREFIX = "unet"
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class Lora:
    """A LoRA's file (safetensors, keys `unet.<module>.lora_A.weight` and `.lora_B.weight`) and how
    strongly it acts.
    """

    path: Path
    scale: float = 1.0


def check_lora(lora: Lora, unet: Any) -> None:
    """Raises ModelNotLoaded unless every tensor of the LoRA fits a module of `unet`; reads the header
    alone.
    """
    if not lora.path.is_file():
        raise ModelNotLoaded(f"There is no LoRA at {lora.path}.", ["Check the path."])
    entries = read_header(lora.path)
    mistakes = _misfits(
        {name: tuple(entry["shape"]) for name, entry in entries.items()}, _module_shapes(unet)
    )
    if mistakes:
        more = f" And {len(mistakes) - 3} more." if len(mistakes) > 3 else ""
        raise ModelNotLoaded(
            f"The LoRA {lora.path.name} does not fit this model: {' '.join(mistakes[:3])}{more}",
            [
                "Use a LoRA made for this model type: one for v1.5 may not fit v1.4, and never fits v2.0.",
                "If it comes from another tool, convert it to names such as unet.<module>.lora_A.weight.",
            ],
        )


def with_loras(unet: Any, loras: Sequence[Lora]) -> Any:
    """A UNet of its own modules over the same weights, with the LoRAs in it; `unet` itself stays as it is.

    Raises ModelNotLoaded where one of them does not fit.
    """
    for lora in loras:
        check_lora(lora, unet)
    if find_spec("peft") is None:
        raise ModelNotLoaded("LoRAs need the package peft, which is not installed.", ["pip install peft"])
    from safetensors.torch import load_file

    twin = _twin(unet)
    names = [f"lora{number}" for number, _ in enumerate(loras)]
    for name, lora in zip(names, loras, strict=True):
        weights = {key: tensor.to(unet.dtype) for key, tensor in load_file(str(lora.path)).items()}
        twin.load_lora_adapter(weights, prefix=PREFIX, adapter_name=name)
    twin.set_adapters(names, [lora.scale for lora in loras])
    return twin.requires_grad_(False).eval().to(unet.device)


def _twin(unet: Any) -> Any:
    import torch

    with torch.device("meta"):
        twin = type(unet).from_config(unet.config)
    twin.load_state_dict(unet.state_dict(), assign=True)
    return twin


def _module_shapes(unet: Any) -> dict[str, tuple[int, ...]]:
    return {
        name.removesuffix(".weight"): tuple(tensor.shape)
        for name, tensor in unet.state_dict().items()
        if name.endswith(".weight") and tensor.dim() >= 2
    }


def _misfits(shapes: dict[str, tuple[int, ...]], modules: dict[str, tuple[int, ...]]) -> list[str]:
    mistakes = [] if shapes else ["It has no tensors."]
    for name, shape in sorted(shapes.items()):
        down = name.endswith(_DOWN)
        module = name.removeprefix(f"{PREFIX}.").removesuffix(_DOWN if down else _UP)
        if not name.startswith(f"{PREFIX}.") or not name.endswith((_DOWN, _UP)):
            mistakes.append(f"{name} is not a name of the kind {PREFIX}.<module>{_DOWN}.")
        elif module not in modules:
            mistakes.append(f"The model has no {module}.")
        elif (partner := name.replace(_DOWN, _UP) if down else name.replace(_UP, _DOWN)) not in shapes:
            mistakes.append(f"{name} is there without {partner}.")
        elif (
            len(shape) != len(modules[module]) or shape[1 if down else 0] != modules[module][1 if down else 0]
        ):
            mistakes.append(f"{name} has shape {shape}, but {module} is {modules[module]}.")
        elif down and shapes[partner][1] != shape[0]:
            mistakes.append(f"{name} has rank {shape[0]}, {partner} rank {shapes[partner][1]}.")
    return mistakes
