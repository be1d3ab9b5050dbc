"""The denoising loop with classifier-free guidance, and the decoder after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import accel, samplers
from ..config import SamplerConfig
from ..errors import OutOfMemory, SDKError
from ..models.loader import LoadedModel
from ..preprocess.request import RenderPlan, Request
from ..progress import Progress
from . import autoencoder
from .attention import prompt_kept
from .caps import steady_heap
from .memory import attempted
from .plan import grid, note
from .tiles import Grid, Window, blended

if TYPE_CHECKING:
    from PIL.Image import Image


def use_threads(count: int) -> None:
    """Lets torch use `count` threads on the CPU. The last bits of an image depend on this number."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


class Cancelled(SDKError):
    """The caller has cancelled this image."""

    code = "ERR_CANCELLED"


@dataclass(frozen=True)
class RenderEngine:
    """Turns a prepared request into images, on `device` ("cpu" or "cuda"), with one CPU thread or many.

    With `medvram` a part of the model is on the GPU only while it works. `acceleration` and `streams` have
    been checked by `reference_engine.accel`. The engine holds no state between images. Equal requests give
    equal images, bit for bit, on the same machine with the same number of threads. An image of a batch is
    within 1/255 of the same image alone, because matrix products of other sizes round differently.
    """

    model: LoadedModel
    sampler: SamplerConfig
    device: str = "cpu"
    medvram: bool = False
    threads: int = 1
    acceleration: str = "none"
    streams: int = 1

    def render(
        self,
        request: Request,
        *,
        unet: Any = None,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> tuple[tuple[Image, ...], dict[str, float], tuple[str, ...]]:
        """The images, the seconds that denoising and decoding took, and sentences for the user.

        `unet` replaces the model's own (it has LoRAs). `cancelled` is called before every step. If memory
        runs out, a leaner plan gets one try before OutOfMemory is raised. Raises Cancelled.
        """
        use_threads(self.threads)
        plan = request.plan or RenderPlan(request.num_images)
        if plan.tight:
            steady_heap()
        states = [generator.get_state() for generator in request.generators]
        done, failure = attempted(lambda: self._render(request, plan, unet, cancelled, progress))
        if done is not None:
            return *done, ()
        leaner = plan.leaner(request)
        if leaner != plan:
            for generator, state in zip(request.generators, states, strict=True):
                generator.set_state(state)
            done, failure = attempted(lambda: self._render(request, leaner, unet, cancelled, progress))
        if done is None:
            raise OutOfMemory(f"The machine has no memory left for this generation: {failure}")
        sentence = note(leaner, request).replace("To stay within memory_limit", "After memory ran out,")
        return *done, (sentence,) if sentence else ()

    def encode(self, request: Request, pixels: Any) -> Any:
        """Latents of an initial image's pixels (1, 3, height, width), -1 to 1; see `autoencoder.encode`."""
        import torch

        use_threads(self.threads)
        plan = request.plan or RenderPlan()
        vae = self.model.vae
        with torch.inference_mode(), self._at_work(vae, plan):
            return autoencoder.encode(vae, pixels.to(self.device), plan.decoder_tile).cpu()

    def _render(
        self,
        request: Request,
        plan: RenderPlan,
        unet: Any,
        cancelled: Callable[[], bool],
        progress: Progress | None,
    ) -> tuple[tuple[Image, ...], dict[str, float]]:
        import torch

        request = replace(request, plan=plan)
        groups = list(_groups(request, plan.batch))
        images: list[Image] = []
        seconds = {"denoise": 0.0, "decode": 0.0}
        with torch.inference_mode(), accel.lane(self.device, self.streams):
            for number, group in enumerate(groups):
                started = time.perf_counter()
                report = _part_of(progress, number, len(groups))
                latents = self._denoise(group, self.model.unet if unet is None else unet, cancelled, report)
                denoised = time.perf_counter()
                images += self._decode(latents, plan)
                seconds["denoise"] += denoised - started
                seconds["decode"] += time.perf_counter() - denoised
        return tuple(images), seconds

    def _denoise(
        self,
        request: Request,
        unet: Any,
        cancelled: Callable[[], bool],
        progress: Progress = lambda done, total: None,
    ) -> Any:
        import torch

        plan = request.plan or RenderPlan()
        sampler = samplers.build(self.sampler.algorithm, self.sampler.parameters, self.model.scheduler_config)
        partial = request.clean is not None and request.strength < 1.0
        schedule = sampler.schedule(request.steps, request.strength if partial else 1.0)
        noise = request.latents.to(self.device)
        latents = (
            schedule.noised(request.clean.to(self.device), noise) if partial else schedule.initial(noise)
        )
        guided = request.cfg_scale != 1.0
        texts = [request.negative_embeddings, request.embeddings] if guided else [request.embeddings]
        rows = [text for text in texts for _ in range(len(noise))]
        context = torch.cat(rows).to(self.device, unet.dtype)
        moments = torch.tensor(schedule.timesteps, dtype=torch.float32, device=self.device)
        tiles = grid(plan, request)
        kept = prompt_kept(unet) if self.acceleration == "none" else nullcontext()
        with self._at_work(unet, plan), kept:
            network = accel.network(unet, self.acceleration)
            for index in range(len(moments)):
                if cancelled():
                    raise Cancelled("The generation was cancelled.")
                seen = schedule.network_input(latents, index).to(unet.dtype)

                def guess(window: Window, seen: Any = seen, moment: Any = moments[index]) -> Any:
                    part = seen[(..., *window)]
                    part = torch.cat([part] * len(texts)) if guided else part
                    predicted = network(part, moment, encoder_hidden_states=context, return_dict=False)[
                        0
                    ].float()
                    if not guided:
                        return predicted
                    without, with_prompt = predicted.chunk(2)
                    return without + request.cfg_scale * (with_prompt - without)

                latents = schedule.step(_whole(guess, tiles), index, latents, request.generators)
                progress(index + 1, len(moments))
        return latents

    def _decode(self, latents: Any, plan: RenderPlan) -> list[Image]:
        """Decodes one image after another, because the decoder needs the most memory of all parts."""
        vae = self.model.vae
        with self._at_work(vae, plan):
            return [
                autoencoder.to_image(autoencoder.decode(vae, one[None], plan.decoder_tile)[0])
                for one in latents
            ]

    @contextmanager
    def _at_work(self, part: Any, plan: RenderPlan) -> Iterator[None]:
        if not (self.medvram or plan.medvram):
            yield
            return
        part.to(self.device)
        try:
            yield
        finally:
            part.to("cpu")


def _whole(guess: Callable[[Window], Any], tiles: Grid) -> Any:
    return guess((slice(None), slice(None))) if tiles.count == 1 else blended(guess, tiles)


def _groups(request: Request, size: int) -> Iterator[Request]:
    """The request's images in groups of at most `size`."""
    count = len(request.latents)
    if count <= size:
        yield request
        return
    for start in range(0, count, size):
        some = slice(start, start + size)
        yield replace(request, latents=request.latents[some], generators=request.generators[some])


def _part_of(progress: Progress | None, number: int, groups: int) -> Progress:
    """Reports the progress of one group as progress of the whole."""
    if progress is None:
        return lambda done, total: None
    return lambda done, total: progress(number * total + done, groups * total)
