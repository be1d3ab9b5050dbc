"""One generation on its way through the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What was asked for, and what the stages have made of it so far; stages return a changed copy.

    Sizes are in pixels. `embeddings` and `negative_embeddings` are tensors of shape (1, 77, width of the
    model's text encoder); `latents` is a tensor of shape (1, 4, height / 8, width / 8) with standard
    deviation 1.
    """

    prompt: str
    negative_prompt: str = ""
    steps: int = 28
    cfg_scale: float = 7.5
    seed: int = 0
    width: int = 512
    height: int = 512
    embeddings: Any = None
    negative_embeddings: Any = None
    latents: Any = None
    generator: Any = None
    kept: str = ""
    lost: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
