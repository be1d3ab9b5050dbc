"""One generation on its way through the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..render.plan import Plan


@dataclass(frozen=True)
class Request:
    """What was asked for, and what the stages have made of it so far; stages return a changed copy.

    Sizes are in pixels. `embeddings` and `negative_embeddings` are tensors of shape (1, 77, width of the
    model's text encoder); `latents` is a tensor of shape (num_images, 4, height / 8, width / 8) with standard
    deviation 1, `generators` has the random generator of each image, and `clean` the latents of `init_image`,
    shape (1, 4, height / 8, width / 8). `strength` is the share of the steps that an initial image goes
    through; `plan` says how it will be rendered.
    """

    prompt: str
    negative_prompt: str = ""
    steps: int = 28
    cfg_scale: float = 7.5
    seed: int = 0
    width: int = 512
    height: int = 512
    init_image: Any = None
    strength: float = 0.75
    num_images: int = 1
    embeddings: Any = None
    negative_embeddings: Any = None
    latents: Any = None
    clean: Any = None
    generators: tuple[Any, ...] = ()
    plan: Plan | None = None
    kept: str = ""
    lost: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
