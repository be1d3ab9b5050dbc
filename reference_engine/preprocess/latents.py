"""The stage that draws the initial noise from the seed, and turns an initial image into latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .request import Request

LATENT_CHANNELS = 4
PIXELS_PER_LATENT = 8


@dataclass(frozen=True)
class InitialLatents:
    """Noise of shape (images, 4, height / 8, width / 8), standard deviation 1; an initial image's latents.

    Image number n has its own generator, with the seed `seed` + n, so that it gets the same noise as alone.
    Noise is drawn on the CPU in float32, whatever the device and number of threads, so that a seed gives the
    same image everywhere. Samplers that add noise continue with the same generators.

    `encode(request, pixels)` turns an initial image's pixels (1, 3, height, width), from -1 to 1, into
    latents (1, 4, height / 8, width / 8). The image is first resized to the request's size.
    """

    encode: Callable[[Request, Any], Any] | None = None
    name: str = "latents"

    def __call__(self, request: Request) -> Request:
        import torch

        shape = (1, LATENT_CHANNELS, request.height // PIXELS_PER_LATENT, request.width // PIXELS_PER_LATENT)
        generators = tuple(
            torch.Generator("cpu").manual_seed((request.seed + number) % 2**64)
            for number in range(request.num_images)
        )
        noise = [torch.randn(shape, generator=one, dtype=torch.float32) for one in generators]
        request = replace(request, latents=torch.cat(noise), generators=generators)
        return self._with_image(request) if request.init_image is not None else request

    def _with_image(self, request: Request) -> Request:
        from PIL.Image import Resampling

        from ..render.autoencoder import to_pixels

        if self.encode is None:
            raise ValueError("This pipeline's latents stage has no encoder for an initial image.")
        image, size = request.init_image, (request.width, request.height)
        if image.size != size:
            image = image.convert("RGB").resize(size, Resampling.LANCZOS)
        return replace(request, clean=self.encode(request, to_pixels(image)))
