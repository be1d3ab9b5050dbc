"""Reads the names in a LoRA's file: which tensors adapt which module, in every common style.

    PEFT        base_model.model.<module>.lora_A.weight              .lora_B.weight
    diffusers   unet.<module>.lora_A.weight                          .lora_B.weight
                unet.<module>.lora.down.weight                       .lora.up.weight
                unet.<attention>.processor.to_q_lora.down.weight     _lora.up.weight
    kohya       lora_unet_<module, with _ for .>.lora_down.weight    .lora_up.weight, .alpha

`text_encoder.` and `lora_te_` likewise name the text encoder. Only names and shapes are needed, so a file is
judged by its header before any tensor is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]
Modules = Mapping[str, Mapping[str, Shape]]
"""By component ("unet", "text_encoder"): a module's name and its weight's shape."""

COMPONENTS = ("unet", "text_encoder")
BASES: Mapping[int, str] = {
    768: "v1.4 and v1.5",
    1024: "v2.0",
    1280: "an SDXL refiner, which this SDK does not run",
    2048: "SDXL, which this SDK does not run",
}
"""From the width of the text that the UNet reads (keys and values of cross-attention) to the models with it.
"""

_DOWN = r"(?:\.lora_A(?:\.default)?|\.lora_down|\.lora\.down|\.lora_linear_layer\.down|_lora\.down)\.weight"
_UP = r"(?:\.lora_B(?:\.default)?|\.lora_up|\.lora\.up|\.lora_linear_layer\.up|_lora\.up)\.weight"
_NAME = re.compile(rf"(?P<stem>.+?)(?:(?P<down>{_DOWN})|(?P<up>{_UP})|(?P<alpha>(?:\.lora)?\.alpha))")
_TEXT_KEY = re.compile(r"attn2[._](?:processor\.)?to_[kv]$")
_OTHER_KINDS = {
    "hada_w": "LoHa",
    "lokr_w": "LoKr",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "lora_mid": "LoCon with a core tensor",
    "oft_": "OFT",
}


@dataclass(frozen=True)
class AdaptedModule:
    """One module that a LoRA changes, by `up @ down`, times alpha / rank where the file has an `alpha`.
    `down`, `up` and `alpha` are names in the file.
    """

    component: str
    module: str
    rank: int
    down: str
    up: str
    alpha: str | None


def text_width(modules: Mapping[str, Shape]) -> int | None:
    """The width of the text that these modules' cross-attention reads; None if there is none."""
    widths = {shape[1] for name, shape in modules.items() if _TEXT_KEY.search(name) and len(shape) > 1}
    return min(widths, default=None)


def read_names(shapes: Mapping[str, Shape], modules: Modules) -> tuple[list[AdaptedModule], list[str]]:
    """The modules that the file's tensors adapt, and the mistakes in it, one sentence each."""
    if not shapes:
        return [], ["It has no tensors."]
    stems: dict[str, dict[str, str]] = {}
    mistakes = []
    for name in sorted(shapes):
        other = next((kind for sign, kind in _OTHER_KINDS.items() if sign in name), None)
        match = _NAME.fullmatch(name)
        if other:
            mistakes.append(f"{name} belongs to a {other}, not to a plain LoRA.")
        elif match is None:
            mistakes.append(f"{name} does not have the form unet.<module>.lora_A.weight.")
        else:
            kind = next(group for group in ("down", "up", "alpha") if match[group])
            stems.setdefault(match["stem"], {})[kind] = name
    if mistakes:
        return [], mistakes
    mistakes += _wrong_base(stems, shapes, modules)
    flat = {part: {name.replace(".", "_"): name for name in modules[part]} for part in modules}
    adapted = []
    for stem, names in stems.items():
        place = _place(stem, modules, flat)
        if place is None:
            mistakes.append(f"The model has no {_bare(stem)}.")
            continue
        if missing := [kind for kind in ("down", "up") if kind not in names]:
            mistakes.append(f"{next(iter(names.values()))} has no matching {missing[0]} tensor.")
            continue
        component, module = place
        mistake = _misfit(module, modules[component][module], names, shapes)
        if mistake:
            mistakes.append(mistake)
        else:
            rank = shapes[names["down"]][0]
            adapted.append(
                AdaptedModule(component, module, rank, names["down"], names["up"], names.get("alpha"))
            )
    return adapted, mistakes


def fitted(shape: Shape, like: Shape) -> Shape:
    """A down or up tensor's shape, with as many dimensions as its weight: 1 x 1 convolutions and linear
    layers are stored in either form.
    """
    if len(shape) == 2 and len(like) == 4 and like[2:] == (1, 1):
        return (*shape, 1, 1)
    if len(shape) == 4 and len(like) == 2 and shape[2:] == (1, 1):
        return shape[:2]
    return shape


def _wrong_base(
    stems: Mapping[str, Mapping[str, str]], shapes: Mapping[str, Shape], modules: Modules
) -> list[str]:
    made_for = text_width({stem: shapes[names["down"]] for stem, names in stems.items() if "down" in names})
    ours = text_width(modules.get("unet", {}))
    if made_for is None or ours is None or made_for == ours:
        return []
    return [
        f"It was made for text {made_for} wide ({BASES.get(made_for, 'no known model')}), "
        f"but this model reads text {ours} wide ({BASES.get(ours, 'an unknown base')})."
    ]


def _place(stem: str, modules: Modules, flat: Mapping[str, Mapping[str, str]]) -> tuple[str, str] | None:
    for prefix, component in (
        ("lora_unet_", "unet"),
        ("lora_te_", "text_encoder"),
        ("lora_te1_", "text_encoder"),
    ):
        if stem.startswith(prefix):
            known = flat.get(component, {})
            name = stem.removeprefix(prefix)
            module = next((known[other] for other in _spellings(name, "_") if other in known), None)
            return None if module is None else (component, module)
    name = _bare(stem)
    for component in COMPONENTS:
        if stem.startswith(f"{component}."):
            candidates: tuple[str, ...] = (component,)
            break
    else:
        candidates = COMPONENTS
    for component in candidates:
        known = {known_name: known_name for known_name in modules.get(component, {})}
        for other in _spellings(name, "."):
            if other in known:
                return component, other
    return None


def _bare(stem: str) -> str:
    """The module's name as the model writes it."""
    for prefix in ("base_model.model.", "unet.", "text_encoder."):
        stem = stem.removeprefix(prefix)
    if ".processor." in stem:
        stem = stem.replace(".processor.", ".")
        stem = f"{stem}.0" if stem.endswith(".to_out") else stem
    return stem


def _spellings(name: str, dot: str) -> tuple[str, ...]:
    """Versions of transformers differ in whether a text encoder's modules are inside a `text_model`."""
    wrapper = f"text_model{dot}"
    return name, name.removeprefix(wrapper), f"{wrapper}{name}"


def _misfit(module: str, weight: Shape, names: Mapping[str, str], shapes: Mapping[str, Shape]) -> str:
    down, up = fitted(shapes[names["down"]], weight), fitted(shapes[names["up"]], weight)
    for kind, shape, wanted in (("down", down, weight[1:]), ("up", up, weight[:1])):
        got = shape[1:] if kind == "down" else shape[:1]
        if got != wanted or len(shape) != len(weight):
            return f"{names[kind]} has shape {shapes[names[kind]]}, but {module} is {weight}."
    if up[2:] != (1, 1)[: len(up) - 2]:
        return f"{names['up']} has shape {shapes[names['up']]}, but an up tensor must be a 1 x 1 convolution."
    if down[0] != up[1]:
        return f"{names['down']} has rank {down[0]}, {names['up']} rank {up[1]}."
    if "alpha" in names and shapes[names["alpha"]] not in ((), (1,)):
        return f"{names['alpha']} has shape {shapes[names['alpha']]}, but it must be one number."
    return ""
