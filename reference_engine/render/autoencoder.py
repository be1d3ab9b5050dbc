"""Converts between latents and pixels, as a whole or in tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .memory import PIXELS_PER_LATENT
from .tiles import DECODER_OVERLAP, Grid, blended

if TYPE_CHECKING:
    from PIL.Image import Image


def decode(vae: Any, latents: Any, tile: int = 0) -> Any:
    """Latents (n, 4, h, w) to float32 pixels (n, 3, 8h, 8w), about -1 to 1; `tile` is a side in pixels, 0 for
    the whole.
    """
    scaled = latents / vae.config.scaling_factor

    def piece(window: Any) -> Any:
        return vae.decode(scaled[(..., *window)].to(vae.dtype), return_dict=False)[0].float()

    grid = _grid(latents.shape[-2:], tile)
    if grid.count == 1:
        return piece((slice(None), slice(None)))
    return blended(piece, grid, PIXELS_PER_LATENT)


def encode(vae: Any, pixels: Any, tile: int = 0) -> Any:
    """Pixels (n, 3, 8h, 8w) from -1 to 1 to float32 latents (n, 4, h, w): the mode of the distribution, so
    that equal images give equal latents.
    """

    def piece(window: Any) -> Any:
        rows, columns = (
            slice(side.start * PIXELS_PER_LATENT, side.stop * PIXELS_PER_LATENT) for side in window
        )
        seen = pixels[..., rows, columns].to(vae.dtype)
        return vae.encode(seen, return_dict=False)[0].mode().float() * vae.config.scaling_factor

    grid = _grid([side // PIXELS_PER_LATENT for side in pixels.shape[-2:]], tile)
    return blended(piece, grid) if grid.count > 1 else piece((slice(0, grid.tile[0]), slice(0, grid.tile[1])))


def _grid(sides: Any, tile: int) -> Grid:
    high, wide = (int(side) for side in sides)
    return Grid.over(high, wide, tile // PIXELS_PER_LATENT or max(high, wide), DECODER_OVERLAP)


def to_image(pixels: Any) -> Image:
    """One image's pixels (3, height, width), about -1 to 1, as 8 bits a channel."""
    import numpy as np
    import torch
    from PIL import Image as pil_image

    # In place: at 2048 x 2048 pixels each copy is 48 MB.
    values = (pixels / 2).add_(0.5).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
    return pil_image.fromarray(np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy()))


def to_pixels(image: Image) -> Any:
    """The inverse of `to_image`: shape (1, 3, height, width), float32."""
    import numpy as np
    import torch

    values = np.asarray(image.convert("RGB"), dtype=np.float32) / 127.5 - 1.0
    return torch.from_numpy(values).permute(2, 0, 1)[None]
