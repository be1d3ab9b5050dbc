"""What a caller asks for, from keywords to one object that a worker can carry out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .config import PluginConfig
from .errors import InvalidParameter
from .guidance import MODELS
from .models.lora import Lora
from .preprocess.request import Request

if TYPE_CHECKING:
    from PIL.Image import Image

LoraSpec = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]
"""A LoRA's file, or the file and its scale."""

Progress = Callable[[int, int], None]
"""Called with the steps that are done and the steps there are."""

SEEDS = 2**32
"""A drawn seed is below this, so that it is short enough to be copied by hand."""


@dataclass(frozen=True)
class Order:
    """One call: the request as it was made, and the LoRAs for it alone."""

    request: Request
    loras: tuple[Lora, ...] = ()


def make_order(
    config: PluginConfig,
    prompt: str,
    negative_prompt: str = "",
    steps: int = 28,
    cfg_scale: float = 7.5,
    *,
    seed: int | None = None,
    width: int | None = None,
    height: int | None = None,
    init_image: Image | None = None,
    strength: float = 0.75,
    num_images: int = 1,
    loras: Sequence[LoraSpec] = (),
) -> Order:
    """Fills in what was left out: a drawn seed, and for sides those of `init_image` (rounded down to whole
    latents) or else the model's native ones. Raises InvalidParameter for a LoRA's scale out of range; all
    other checks are stages of the pipeline.
    """
    native = MODELS[config.model_type].native_size
    wide, high = _sides(init_image) or (native, native)
    request = Request(
        prompt=prompt,
        negative_prompt=negative_prompt,
        steps=steps,
        cfg_scale=cfg_scale,
        seed=secrets.randbelow(SEEDS) if seed is None else seed,
        width=wide if width is None else width,
        height=high if height is None else height,
        init_image=init_image,
        strength=strength,
        num_images=num_images,
        warnings=config.warnings,
    )
    return Order(request, lora_list(loras))


def lora_list(specs: Sequence[LoraSpec]) -> tuple[Lora, ...]:
    """LoRAs from files, or from pairs of file and scale. Raises InvalidParameter for a scale that is not a
    number from -10 to 10.
    """
    loras = []
    for spec in [specs] if isinstance(specs, (str, os.PathLike)) else specs:  # one file alone is meant, too
        path, scale = spec if isinstance(spec, tuple) else (spec, 1.0)
        if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not -10 <= scale <= 10:
            raise InvalidParameter(f"A LoRA's scale must be a number from -10 to 10, not {scale!r}.", ())
        loras.append(Lora(Path(path).resolve(), float(scale)))
    return tuple(loras)


def _sides(image: Image | None) -> tuple[int, int] | None:
    size = getattr(image, "size", None)
    if not isinstance(size, tuple) or len(size) != 2:
        return None  # what is no image is told by the check of parameters
    return size[0] // 8 * 8, size[1] // 8 * 8
