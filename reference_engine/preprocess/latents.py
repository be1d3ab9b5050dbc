"""The stage that draws the initial noise from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .request import Request

LATENT_CHANNELS = 4
PIXELS_PER_LATENT = 8


@dataclass(frozen=True)
class InitialLatents:
    """Noise of shape (1, 4, height / 8, width / 8), standard deviation 1.

    Drawn on the CPU in float32 by the request's own generator, whatever the device and number of threads, so
    that a seed means the same image everywhere; the generator goes on to serve samplers that add noise.
    """

    name: str = "latents"

    def __call__(self, request: Request) -> Request:
        import torch

        generator = torch.Generator("cpu").manual_seed(request.seed)
        shape = (1, LATENT_CHANNELS, request.height // PIXELS_PER_LATENT, request.width // PIXELS_PER_LATENT)
        latents = torch.randn(shape, generator=generator, dtype=torch.float32)
        return replace(request, latents=latents, generator=generator)
