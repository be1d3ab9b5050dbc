"""LoRAs: small additions to a UNet and a text encoder. They are checked against the model before tensors are
read.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelNotLoaded
from .folder import read_header
from .lora_names import COMPONENTS, AdaptedModule, fitted, read_names

if TYPE_CHECKING:
    from .loader import LoadedModel


@dataclass(frozen=True)
class Lora:
    """A LoRA's file (safetensors, names in the style of diffusers, PEFT or kohya) and its strength: 1.0 as
    trained, 0.0 no effect.
    """

    path: Path
    scale: float = 1.0


def check_lora(lora: Lora, model: LoadedModel) -> list[AdaptedModule]:
    """The modules of `model` that the LoRA adapts, according to the file's header.

    Raises ModelNotLoaded unless every tensor fits. A LoRA for another base model is recognised by the width
    of the text that it reads (768 for v1.4 and v1.5, 1024 for v2.0, 2048 for SDXL).
    """
    if not lora.path.is_file():
        raise ModelNotLoaded(f"There is no LoRA at {lora.path}.", ["Check the path."])
    shapes = {name: tuple(entry["shape"]) for name, entry in read_header(lora.path).items()}
    adapted, mistakes = read_names(shapes, {part: _weights(getattr(model, part)) for part in COMPONENTS})
    if mistakes:
        more = f" And {len(mistakes) - 3} more." if len(mistakes) > 3 else ""
        raise ModelNotLoaded(
            f"The LoRA {lora.path.name} does not fit this model: {' '.join(mistakes[:3])}{more}",
            [
                "Use a LoRA made for this model type: one for v1.5 may not fit v1.4, and never fits v2.0.",
                "If another tool wrote it, save it in the style of diffusers, PEFT or kohya.",
            ],
        )
    return adapted


def with_loras(model: LoadedModel, loras: Sequence[Lora]) -> LoadedModel:
    """A model with new modules over the same weights, and with the LoRAs. `model` does not change.

    Raises ModelNotLoaded if one does not fit. All are checked before the first is read.
    """
    plans = [check_lora(lora, model) for lora in loras]
    if not plans:
        return model
    if find_spec("peft") is None:
        raise ModelNotLoaded("LoRAs need the package peft, which is not installed.", ["pip install peft"])
    changed: dict[str, Any] = {}
    for part in COMPONENTS:
        mine = [
            (lora, [item for item in plan if item.component == part])
            for lora, plan in zip(loras, plans, strict=True)
        ]
        if any(plan for _, plan in mine):
            changed[part] = _adapted_twin(getattr(model, part), [pair for pair in mine if pair[1]])
    return replace(model, **changed)


def _adapted_twin(module: Any, plans: Sequence[tuple[Lora, list[AdaptedModule]]]) -> Any:
    from peft import inject_adapter_in_model, set_peft_model_state_dict
    from peft.tuners.lora import LoraLayer

    twin = _twin(module)
    for number, (lora, plan) in enumerate(plans):
        name = f"lora{number}"
        tensors = _tensors(lora, plan, _weights(module))
        inject_adapter_in_model(_peft_config(plan, tensors), twin, name, low_cpu_mem_usage=True)
        state = {
            f"{item.module}.lora_{letter}.weight": tensors[key].to(module.device, module.dtype)
            for item in plan
            for letter, key in (("A", item.down), ("B", item.up))
        }
        set_peft_model_state_dict(twin, state, adapter_name=name, low_cpu_mem_usage=True)
        del twin.peft_config  # otherwise PEFT warns about the next one; the layers hold all they need
    names = [f"lora{number}" for number, _ in enumerate(plans)]
    for layer in twin.modules():
        if isinstance(layer, LoraLayer):
            for name, (lora, _) in zip(names, plans, strict=True):
                if name in layer.scaling:
                    layer.set_scale(name, lora.scale)
            layer.set_adapter(names)
    return twin.requires_grad_(False).eval()


def _peft_config(plan: Sequence[AdaptedModule], tensors: dict[str, Any]) -> Any:
    from peft import LoraConfig

    ranks = {item.module: item.rank for item in plan}
    # Without an alpha the LoRA is not scaled: alpha = rank.
    alphas = {
        item.module: float(tensors[item.alpha].float()) if item.alpha else float(item.rank) for item in plan
    }
    return LoraConfig(
        r=plan[0].rank, target_modules=list(ranks), rank_pattern=ranks, alpha_pattern=alphas, lora_dropout=0.0
    )


def _tensors(
    lora: Lora, plan: Sequence[AdaptedModule], weights: dict[str, tuple[int, ...]]
) -> dict[str, Any]:
    from safetensors import safe_open

    # Native code reads the file, so audit hooks (PEP 578) would not see it without this event.
    sys.audit("reference_engine.lora", str(lora.path))
    tensors: dict[str, Any] = {}
    with safe_open(str(lora.path), "pt") as file:
        for item in plan:
            for key in (item.down, item.up):
                tensor = file.get_tensor(key)
                tensors[key] = tensor.reshape(fitted(tuple(tensor.shape), weights[item.module]))
            if item.alpha:
                tensors[item.alpha] = file.get_tensor(item.alpha)
    return tensors


def _twin(module: Any) -> Any:
    """New modules over the same tensors."""
    shared = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in shared})


def _weights(module: Any) -> dict[str, tuple[int, ...]]:
    return {
        name.removesuffix(".weight"): tuple(tensor.shape)
        for name, tensor in module.named_parameters()
        if name.endswith(".weight") and tensor.dim() >= 2
    }
