"""A request, which passes through the stages, and the plan for rendering it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

DEFAULT_STEPS = 28
DEFAULT_CFG_SCALE = 7.5
DEFAULT_STRENGTH = 0.75

TILES = (1152, 768, 512)
"""Sides of the UNet's tiles in pixels, largest first. Four of 1152 cover 2048 x 2048."""
DECODER_TILE = 512


@dataclass(frozen=True)
class RenderPlan:
    """How to render a request. `batch` is the number of images at once. `tile` and `decoder_tile` are sides
    in pixels, 0 for the whole image. With `medvram` only the active part of the model is on the GPU. `tight`
    means that the limit is under twice the estimate: the heap of the process is then kept steady
    (`caps.steady_heap`), which costs some time.
    """

    batch: int = 1
    tile: int = 0
    decoder_tile: int = 0
    medvram: bool = False
    tight: bool = field(default=False, compare=False)

    def leaner(self, request: Request) -> RenderPlan:
        """The plan for a second try after the first ran out of memory; the same plan if nothing can be
        reduced.
        """
        side = max(request.width, request.height)
        smaller = [tile for tile in TILES if tile < (self.tile or side)]
        return replace(
            self,
            batch=1,
            tile=smaller[0] if smaller else self.tile,
            decoder_tile=min(
                self.decoder_tile or side, DECODER_TILE // 2 if self.decoder_tile else DECODER_TILE
            ),
        )


@dataclass(frozen=True)
class Request:
    """A call's parameters, and what the stages have added so far. Stages return a changed copy.

    Sizes are in pixels. `embeddings` and `negative_embeddings` are tensors of shape (1, 77, width of the
    model's text encoder); `latents` is a tensor of shape (num_images, 4, height / 8, width / 8) with standard
    deviation 1, `generators` has the random generator of each image, and `clean` the latents of `init_image`,
    shape (1, 4, height / 8, width / 8). `strength` is the share of the steps that apply to an
    initial image. `plan` says how to render.
    """

    prompt: str
    negative_prompt: str = ""
    steps: int = DEFAULT_STEPS
    cfg_scale: float = DEFAULT_CFG_SCALE
    seed: int = 0
    width: int = 512
    height: int = 512
    init_image: Any = None
    strength: float = DEFAULT_STRENGTH
    num_images: int = 1
    embeddings: Any = None
    negative_embeddings: Any = None
    latents: Any = None
    clean: Any = None
    generators: tuple[Any, ...] = ()
    plan: RenderPlan | None = None
    kept: str = ""
    lost: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
