"""Makes `loras/ink-lines.safetensors`: a rank-2 LoRA on the cross-attention of the SDK's own tiny v1.5 model.

Run it from anywhere: `python examples/inkwash/tools/make_lora.py`. Every run writes the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from reference_engine.models.tiny import tiny_model

RANK = 2
STRENGTH = 1.5
"""Size of the LoRA's output for an embedding of size 1; the layers it adds to give about 1."""
TARGETS = ("attn2.to_v", "attn2.to_out.0")
TARGET = Path(__file__).parent.parent / "loras" / "ink-lines.safetensors"
ABOUT = {
    "name": "ink-lines",
    "base": "v1.5",
    "licence": "CC-BY-4.0",
    "source": "made for this plugin by tools/make_lora.py",
    "rank": str(RANK),
}


def layers(model: Path) -> dict[str, tuple[int, int]]:
    """The UNet's layers that the LoRA adds to, with their sizes (out, in)."""
    with safe_open(str(model / "unet" / "diffusion_pytorch_model.safetensors"), "numpy") as weights:
        names = list(weights.keys())
        shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
    suffixes = tuple(f"{target}.weight" for target in TARGETS)
    return {name.removesuffix(".weight"): shapes[name] for name in sorted(shapes) if name.endswith(suffixes)}


def draw(raw: np.random.Philox, shape: tuple[int, int], deviation: float) -> np.ndarray:
    """Uniform float16 numbers with that standard deviation, from raw integers: the same bytes on every
    machine.
    """
    numbers = (raw.random_raw(shape[0] * shape[1]) >> np.uint64(48)).astype(np.float32) - np.float32(32767.5)
    return (numbers * np.float32(deviation * 12**0.5 / 65536)).astype(np.float16).reshape(shape)


def in_order(file: bytes) -> bytes:
    """The same safetensors file with a sorted header, since the library writes metadata in an order of
    chance.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    return file[:8] + header.ljust(end - 8) + file[end:]


def main() -> None:
    raw = np.random.Philox(key=1505)
    tensors = {}
    for name, (out, into) in layers(tiny_model(ABOUT["base"])).items():
        tensors[f"unet.{name}.lora_A.weight"] = draw(raw, (RANK, into), into**-0.5)
        tensors[f"unet.{name}.lora_B.weight"] = draw(raw, (out, RANK), STRENGTH * RANK**-0.5)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(in_order(save(tensors, metadata=ABOUT)))
    print(f"{TARGET} ({TARGET.stat().st_size} bytes, {len(tensors)} tensors)")
    print(json.dumps(ABOUT, indent=2))


if __name__ == "__main__":
    main()
