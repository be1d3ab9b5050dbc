"""Tiny models with the shapes, vocabulary and settings of the real v1.4, v1.5 and v2.0, and weights drawn
from a seed.

They draw textures, not objects. But prompt, seed, size and every other parameter take effect as in a real
model, and a generation takes a fraction of a second on one CPU thread. A build gives the same bytes on every
machine: each weight is a raw Philox integer times a constant.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelNotLoaded
from .cache import ENVIRONMENT_VARIABLE, build_once, cache_folder
from .folder import CHECKSUMS, checksums
from .tokenizer import EOS, MODEL_MAX_LENGTH, VOCABULARY_SIZE, write_tokenizer

__all__ = ["tiny_model"]

REVISION = 1
"""Increased whenever the built bytes change, so that an old build in the cache is not used."""


@dataclass(frozen=True)
class Architecture:
    """The differences between model types. Sources: the published configs of v1.4, v1.5 (equal except for the
    weights) and v2.0.
    """

    text_width: int
    text_heads: int
    activation: str
    pad_token: str
    linear_projection: bool
    unet_heads: int | list[int]
    native_size: int
    prediction_type: str
    scheduler: str


_V1 = Architecture(768, 12, "quick_gelu", EOS, False, 2, 512, "epsilon", "PNDMScheduler")
_V2 = Architecture(1024, 16, "gelu", "!", True, [2, 4], 768, "v_prediction", "DDIMScheduler")
ARCHITECTURES: Mapping[str, Architecture] = {"v1.4": _V1, "v1.5": _V1, "v2.0": _V2}


def tiny_model(model_type: str) -> Path:
    """The folder of the tiny model of that type, built in the cache at first use (a second or two, about 85
    MB).

    Raises ModelNotLoaded if the cache cannot be written.
    """
    target = cache_folder() / "models" / f"tiny-{model_type}-r{REVISION}"
    try:
        return build_once(target, lambda folder: build(model_type, folder))
    except OSError as error:
        raise ModelNotLoaded(
            f"The tiny {model_type} model cannot be built at {target}: {error.strerror}.",
            [f"Set {ENVIRONMENT_VARIABLE} to a folder that can be written to, with 150 MB free."],
        ) from error


def build(model_type: str, folder: Path) -> None:
    """Writes the whole model into the empty `folder`, with a SHA256SUMS file."""
    architecture = ARCHITECTURES[model_type]
    _write_json(folder / "model_index.json", _index(architecture))
    _write_json(folder / "scheduler" / "scheduler_config.json", _scheduler(architecture))
    write_tokenizer(folder / "tokenizer", architecture.pad_token)
    text = _text_encoder(architecture)
    _write_json(folder / "text_encoder" / "config.json", text)
    _write_weights(folder / "text_encoder" / "model.safetensors", f"{model_type}/text", _text_shapes(text))
    # One decoder for all types, as the real v1.4 and v1.5 have one.
    for name, config, seed in (("unet", _unet(architecture), f"{model_type}/unet"), ("vae", _VAE, _VAE_SEED)):
        _write_json(folder / name / "config.json", config)
        _write_weights(folder / name / "diffusion_pytorch_model.safetensors", seed, _module_shapes(config))
    (folder / CHECKSUMS).write_bytes(checksums(folder).encode("utf-8"))


def _index(architecture: Architecture) -> dict[str, Any]:
    return {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", architecture.scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _scheduler(architecture: Architecture) -> dict[str, Any]:
    return {
        "_class_name": architecture.scheduler,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "prediction_type": architecture.prediction_type,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "trained_betas": None,
    }


def _text_encoder(architecture: Architecture) -> dict[str, Any]:
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "attention_dropout": 0.0,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 1,
        "hidden_act": architecture.activation,
        "hidden_size": architecture.text_width,
        "intermediate_size": 256,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": MODEL_MAX_LENGTH,
        "num_attention_heads": architecture.text_heads,
        "num_hidden_layers": 1,
        "projection_dim": architecture.text_width,
        "torch_dtype": "float16",
        "vocab_size": VOCABULARY_SIZE,
    }


def _unet(architecture: Architecture) -> dict[str, Any]:
    return {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "attention_head_dim": architecture.unet_heads,
        "block_out_channels": [32, 64],
        "center_input_sample": False,
        "cross_attention_dim": architecture.text_width,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": 4,
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "out_channels": 4,
        "sample_size": architecture.native_size // 8,
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "use_linear_projection": architecture.linear_projection,
    }


_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [8, 16, 16, 16],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "out_channels": 3,
    "sample_size": 512,
    "scaling_factor": 0.18215,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}


_VAE_SEED = "vae/3"
"""The seed, of the first few, with the least extreme colours, so that the images can carry a mark.
"""


def _text_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of a CLIP text encoder as published weights name them (module names differ between
    versions).
    """
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.token_embedding.weight": (config["vocab_size"], width),
        "embeddings.position_embedding.weight": (config["max_position_embeddings"], width),
    }
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layers.{number}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{layer}.self_attn.{part}", width, width)
        shapes |= _linear(f"{layer}.mlp.fc1", inner, width) | _linear(f"{layer}.mlp.fc2", width, inner)
        shapes |= _norm(f"{layer}.layer_norm1", width) | _norm(f"{layer}.layer_norm2", width)
    shapes |= _norm("final_layer_norm", width)
    return {f"text_model.{name}": shape for name, shape in shapes.items()}


def _linear(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _module_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    import diffusers
    import torch

    with torch.device("meta"):
        module = getattr(diffusers, config["_class_name"]).from_config(dict(config))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


_GAINS: Mapping[str, float] = {
    "attn2.to_q": 2.0,  # sharper attention to single tokens
    "attn2.to_k": 2.0,
    "attn2.to_out": 4.0,  # a strong effect of the prompt on the image
    "decoder.conv_out": 0.65,  # a wide range of pixel values, but few at black or white
}


def _write_weights(file: Path, seed: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    from safetensors.numpy import save

    tensors = {name: _draw(f"{seed}/{name}", name, shape) for name, shape in sorted(shapes.items())}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(save(tensors, metadata={"format": "pt"}))


def _draw(seed: str, name: str, shape: tuple[int, ...]) -> Any:
    """A float16 array: uniform around 0 with standard deviation gain / sqrt(inputs); norms keep scale 1
    and shift 0.
    """
    import numpy as np

    if "norm" in name:
        return np.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=np.float16)
    count = math.prod(shape)
    key = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "little")
    raw = np.random.Philox(key=key).random_raw(-(-count // 4)).astype("<u8").view("<u2")[:count]
    width = np.float32(_deviation(name, shape) * math.sqrt(12.0) / 65536.0)
    numbers = (raw.astype(np.float32) - np.float32(32767.5)) * width
    return numbers.astype(np.float16).reshape(shape)


def _deviation(name: str, shape: Iterable[int]) -> float:
    if name.endswith("bias"):
        return 0.05
    if "embedding" in name and "time" not in name:
        return 0.02
    inputs = math.prod(tuple(shape)[1:])
    return next((gain for part, gain in _GAINS.items() if part in name), 1.0) / math.sqrt(inputs)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((json.dumps(value, indent=2, sort_keys=True) + "\n").encode("utf-8"))
