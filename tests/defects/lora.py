"""Small LoRA files, in any style, for any base model, with any metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
_FLAT = _BLOCK.replace(".", "_")
# Style -> the names of a down and an up tensor of one cross-attention.
_NAMES = {
    "PEFT": (f"unet.{_BLOCK}.attn2.to_k.lora_A.weight", f"unet.{_BLOCK}.attn2.to_k.lora_B.weight"),
    "kohya": (
        f"lora_unet_{_FLAT}_attn2_to_k.lora_down.weight",
        f"lora_unet_{_FLAT}_attn2_to_k.lora_up.weight",
    ),
    "diffusers": (
        f"unet.{_BLOCK}.attn2.processor.to_k_lora.down.weight",
        f"unet.{_BLOCK}.attn2.processor.to_k_lora.up.weight",
    ),
    "LyCORIS": (f"lora_unet_{_FLAT}_attn2_to_k.hada_w1_b", f"lora_unet_{_FLAT}_attn2_to_k.hada_w1_a"),
    "output": (f"unet.{_BLOCK}.attn2.to_out.0.lora_A.weight", f"unet.{_BLOCK}.attn2.to_out.0.lora_B.weight"),
}


def lora_file(
    width: int = 768,
    style: str = "PEFT",
    rank: int = 1,
    metadata: Mapping[str, str] | None = None,
    overlaps: bool = False,
) -> bytes:
    """A safetensors file with one adapted layer, float16 zeros; `width` is that of the text it reads."""
    down, up = _NAMES[style]
    whole = safetensors({down: (rank, width), up: (320, rank)}, metadata)
    begin = 2 * rank * width
    return whole.replace(f"[{begin}, ".encode(), f"[{begin - 100}, ".encode()) if overlaps else whole


def safetensors(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str] | None = None) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)
