"""The engine without its networks, to measure everything around them.

Everything else is unchanged: checks, tokenising, the schedule, progress, cancelling, marks, results and
errors. Equal requests give equal images, and different requests different ones. The images are noise.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import samplers
from ..models.loader import LoadedModel
from ..preprocess.request import RenderPlan, Request
from ..progress import Progress
from .autoencoder import to_image
from .engine import Cancelled, RenderEngine
from .memory import PIXELS_PER_LATENT

if TYPE_CHECKING:
    from PIL.Image import Image


def work_instantly() -> None:
    """Replaces denoising, decoding and encoding by cheap stand-ins, for the whole process from now on."""
    for owner, name, stand_in in (
        (RenderEngine, "_denoise", _denoise),
        (RenderEngine, "_decode", _decode),
        (RenderEngine, "encode", _encode_image),
        (LoadedModel, "encode", _encode_text),
    ):
        setattr(owner, name, stand_in)


def _denoise(
    engine: RenderEngine,
    request: Request,
    unet: Any,
    cancelled: Callable[[], bool],
    progress: Progress = lambda done, total: None,
) -> Any:
    """The noise, shifted by a number that stands for the prompt."""
    settings = engine.sampler
    sampler = samplers.build(settings.algorithm, settings.parameters, engine.model.scheduler_config)
    partial = request.clean is not None and request.strength < 1.0
    steps = len(sampler.schedule(request.steps, request.strength if partial else 1.0).timesteps)
    for step in range(steps):
        if cancelled():
            raise Cancelled("The generation was cancelled.")
        progress(step + 1, steps)
    return request.latents + request.embeddings.mean()


def _decode(engine: RenderEngine, latents: Any, plan: RenderPlan) -> list[Image]:
    """Each latent as a square of one colour."""
    large = latents[:, :3].float().repeat_interleave(PIXELS_PER_LATENT, 2)
    return [to_image(one / 3) for one in large.repeat_interleave(PIXELS_PER_LATENT, 3)]


def _encode_image(engine: RenderEngine, request: Request, pixels: Any) -> Any:
    import torch

    means = torch.nn.functional.avg_pool2d(pixels.float(), PIXELS_PER_LATENT)
    return torch.cat([means, means[:, :1]], 1)


def _encode_text(model: LoadedModel, ids: list[int]) -> Any:
    import torch

    number = zlib.crc32(repr(ids).encode()) / 2**32
    return torch.full((1, len(ids), model.text_width), number)
