"""The denoising loop with classifier-free guidance, and the decoder behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import SamplerConfig
from ..errors import SDKError
from ..models.loader import LoadedModel
from ..preprocess.request import Request
from ..samplers import SAMPLERS

if TYPE_CHECKING:
    from PIL.Image import Image


def use_threads(count: int) -> None:
    """Lets torch use `count` threads on the CPU; the last bits of an image depend on it."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


class Cancelled(SDKError):
    """The caller no longer waits for this image."""

    code = "ERR_CANCELLED"


@dataclass(frozen=True)
class RenderEngine:
    """Turns a prepared request into an image, on `device` ("cpu" or "cuda"), with one thread or many.

    With `medvram` a part of the model is on the GPU only while it works. Holds no state between images; equal
    requests give equal images, bit for bit, on the same machine with the same number of threads.
    """

    model: LoadedModel
    sampler: SamplerConfig
    device: str = "cpu"
    medvram: bool = False
    threads: int = 1

    def render(
        self, request: Request, *, unet: Any = None, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[Image, dict[str, float]]:
        """The image and the seconds that denoising and decoding took.

        `unet` stands in for the model's own (with LoRAs in it); `cancelled` is asked before every step.
        """
        import torch

        use_threads(self.threads)
        started = time.perf_counter()
        with torch.inference_mode():
            latents = self._denoise(request, self.model.unet if unet is None else unet, cancelled)
            denoised = time.perf_counter()
            image = self._decode(latents)
        return image, {"denoise": denoised - started, "decode": time.perf_counter() - denoised}

    def _denoise(self, request: Request, unet: Any, cancelled: Callable[[], bool]) -> Any:
        import torch

        spec = SAMPLERS[self.sampler.algorithm]
        scheduler = spec.build(self.model.scheduler_config, self.sampler.parameters)
        scheduler.set_timesteps(request.steps, device=self.device)
        extra = {
            key: self.sampler.parameters[key]
            for key in spec.step_parameters
            if key in self.sampler.parameters
        }
        extra["generator"] = request.generator
        latents = request.latents.to(self.device) * scheduler.init_noise_sigma
        guided = request.cfg_scale != 1.0
        texts = [request.negative_embeddings, request.embeddings] if guided else [request.embeddings]
        context = torch.cat(texts).to(self.device, unet.dtype)
        with self._at_work(unet):
            for moment in scheduler.timesteps:
                if cancelled():
                    raise Cancelled("The generation was cancelled.")
                seen = scheduler.scale_model_input(latents, moment).expand(len(texts), -1, -1, -1)
                guess = unet(seen.to(unet.dtype), moment, encoder_hidden_states=context, return_dict=False)[
                    0
                ].float()
                if guided:
                    without, with_prompt = guess.chunk(2)
                    guess = without + request.cfg_scale * (with_prompt - without)
                latents = scheduler.step(guess, moment, latents, **extra, return_dict=False)[0]
        return latents

    def _decode(self, latents: Any) -> Image:
        import numpy as np
        from PIL import Image as pil_image

        vae = self.model.vae
        with self._at_work(vae):
            scaled = (latents / vae.config.scaling_factor).to(vae.dtype)
            decoded = vae.decode(scaled, return_dict=False)[0].float()
        unit = (decoded[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        return pil_image.fromarray((unit * 255).round().astype(np.uint8))

    @contextmanager
    def _at_work(self, part: Any) -> Iterator[None]:
        if not self.medvram:
            yield
            return
        part.to(self.device)
        try:
            yield
        finally:
            part.to("cpu")
