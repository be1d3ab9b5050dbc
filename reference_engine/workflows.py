"""Workflows that use several models for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .calls import GenerationOptions, accepts
from .preprocess.request import DEFAULT_CFG_SCALE, DEFAULT_STEPS
from .progress import Progress
from .result import ImageResult


class Generator(Protocol):
    """A plugin, a pool, or another object with the SDK's `generate_image`."""

    @accepts(GenerationOptions)
    async def generate_image(self, options: GenerationOptions) -> ImageResult: ...


@dataclass(frozen=True)
class Refined:
    """A draft and the image refined from it. Both are complete, marked results."""

    draft: ImageResult
    image: ImageResult


async def draft_then_refine(
    draft: Generator,
    refine: Generator,
    prompt: str,
    negative_prompt: str = "",
    *,
    draft_steps: int = 20,
    steps: int = DEFAULT_STEPS,
    cfg_scale: float = DEFAULT_CFG_SCALE,
    strength: float = 0.4,
    seed: int | None = None,
    draft_size: tuple[int, int] = (512, 512),
    size: tuple[int, int] = (768, 768),
    progress: Progress | None = None,
    timeout: float | None = None,
) -> Refined:
    """Makes a draft with one model (v1.5), and refines it with another (v2.0).

    `draft_steps` and `steps`: 5 to 50. `strength`: above 0 to 1, the share that the refinement makes new; 0.3
    to 0.5 keep the draft's composition. Sizes are width and height in pixels, by default the native sizes of
    v1.5 and v2.0. The draft is scaled to the final size. Both runs use the same seed. `progress` gets the
    steps of each run separately; `timeout`, in seconds, applies to each run. Raises the errors of
    `generate_image`.
    """
    first = await draft.generate_image(
        prompt,
        negative_prompt,
        draft_steps,
        cfg_scale,
        seed=seed,
        width=draft_size[0],
        height=draft_size[1],
        progress=progress,
        timeout=timeout,
    )
    final = await refine.generate_image(
        prompt,
        negative_prompt,
        steps,
        cfg_scale,
        seed=first.seed,
        init_image=first.image,
        strength=strength,
        width=size[0],
        height=size[1],
        progress=progress,
        timeout=timeout,
    )
    return Refined(first, final)
