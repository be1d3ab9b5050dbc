"""A plugin of the SDK: one configuration and one model, which makes images on demand."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from . import accel
from .calls import Call, GenerationOptions, accepts, lora_list, make_call
from .config import PluginConfig
from .delivery import deliver_all, parameter_table
from .errors import ModelNotLoaded
from .guidance import steps_warnings
from .models.folder import check_folder
from .models.lease import Lease
from .models.libraries import check_libraries, import_libraries
from .models.loader import LoadedModel, ModelLoader
from .models.lora import Lora, check_lora, with_loras
from .models.remote import fetch_model
from .models.tiny import tiny_model
from .preprocess import InitialLatents, ParameterCheck, PreprocessPipeline, PromptCheck, Request, TextEncoding
from .preprocess.request import RenderPlan
from .progress import Progress
from .render import calibration, caps, memory
from .render.engine import RenderEngine, use_threads
from .render.plan import PlanCheck
from .result import ImageResult
from .waiting import in_thread

if TYPE_CHECKING:
    from PIL.Image import Image


class Plugin:
    """What `SDK.create_plugin` returns. It is safe to use from several threads and tasks: a worker thread
    makes the images one after another (`SDK.create_pool` makes several at a time).

    `pipeline` is the chain of preprocessing stages; stages can be inserted, replaced and reordered.
    `postprocess` holds functions from image to image that run before the mark is written. Nothing can run
    after it.
    """

    def __init__(self, config: PluginConfig) -> None:
        """Checks the folder (and hash) of a configured model. Loads and downloads nothing yet. Raises
        ModelNotLoaded.
        """
        if config.model is not None and config.model.url is None:
            check_folder(config.model.path, config.model.sha256)
        if config.acceleration != "none" or config.streams > 1:
            accel.require(config.acceleration, config.streams, self._device(config))
        self.config = config
        self.postprocess: list[Callable[[Image], Image]] = []
        self.pipeline = PreprocessPipeline(
            [
                ParameterCheck(payload_bits=len(config.watermark_payload) * 4, large=config.large),
                PromptCheck(config.sensitive_words, config.word_list),
                PlanCheck(
                    self._memory_needed,
                    config.memory_limit,
                    config.tiling,
                    medvram=self._offload,
                    unbounded=config.acceleration == "tensorrt",
                ),
                TextEncoding(self._with_loras),
                InitialLatents(lambda request, pixels: self._engine().encode(request, pixels)),
            ]
        )
        self._lock = threading.Lock()
        self._medvram = config.medvram
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sdk-plugin")
        self._lease: Lease[LoadedModel] | None = None
        self._cancelled: Callable[[], bool] = _never
        self._loras: tuple[Lora, ...] = ()
        self._active: tuple[Lora, ...] = ()
        self._adapted: tuple[tuple[Lora, ...], LoadedModel] | None = None

    async def load(self) -> None:
        """Loads the model now instead of at the first image. Raises ModelNotLoaded."""
        await asyncio.to_thread(self._load_locked)

    @accepts(GenerationOptions)
    async def generate_image(self, options: GenerationOptions) -> ImageResult:
        """Makes one marked image, or several, without blocking the event loop.

        `steps`: 5 to 50. `cfg_scale`: 0 to 30; 1 ignores the negative prompt. `seed`: 0 to 2**63 - 1; without
        one a seed is drawn, and the result names it. `width` and `height`: pixels, multiples of 8 from 64 to
        2048; by default the size of `init_image` or the model's native size. `init_image`: a PIL image in any
        mode to start from, resized to that size. `strength`: above 0 to 1, the share of `init_image` that is
        made new. `num_images`: 1 to 8, made as one batch with seeds counted up from `seed`; the result has
        them as `images` and `each`. `loras`: files, or pairs of file and scale (-10 to 10), for this call
        only, in addition to those of `load_lora`.

        `progress(done, total)` is called in the event loop's thread after each step. TimedOut is raised after
        `timeout` seconds, which include the wait for earlier images. A task that is cancelled or timed out
        stops before the next step.

        Raises InvalidParameter, InvalidPrompt, ModelNotLoaded, OutOfMemory, TimedOut.
        """
        call = make_call(self.config, options)
        return await in_thread(
            self._worker,
            lambda cancelled, report: self.carry_out(call, cancelled, report),
            timeout=options.timeout,
            progress=options.progress,
        )

    def carry_out(
        self,
        call: Call,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> ImageResult:
        """`generate_image` for worker threads: blocks the caller's thread. Raises the same errors, and
        SDKError with ERR_CANCELLED if `cancelled()`, which is called before each step, returns true.
        """
        with self._lock:
            try:
                prepared, images, timings, notes = memory.raising_out_of_memory(
                    lambda: self._make(call, cancelled, progress)
                )
            finally:
                self._active, self._cancelled = (), _never
                if not self.config.persistent_workers:
                    self._let_go()
        return deliver_all(
            images,
            prompt=call.request.prompt,
            negative_prompt=call.request.negative_prompt,
            seed=prepared.seed,
            parameters=parameter_table(prepared, self.config),
            config=self.config,
            timings=timings,
            kept=prepared.kept,
            lost=prepared.lost,
            warnings=(*prepared.warnings, *notes, *steps_warnings(prepared.steps)),
        )

    def load_lora(self, path: str | os.PathLike[str], scale: float = 1.0) -> None:
        """Adds a LoRA to every image from now on. `scale`: -10 to 10; 1 is as trained. Several LoRAs add up.
        This loads the model if it is not loaded yet, so it may take a while.

        Raises ModelNotLoaded if the LoRA does not fit, and InvalidParameter for the scale. Nothing has
        changed then.
        """
        (lora,) = lora_list([(path, scale)])
        model = self._load_locked()
        check_lora(lora, model)
        with self._lock:
            self._loras += (lora,)

    def unload_loras(self) -> None:
        """Removes every added LoRA. Images are then the same as before, because the weights never change."""
        with self._lock:
            self._loras, self._adapted = (), None

    @property
    def loras(self) -> tuple[Lora, ...]:
        """The LoRAs that `load_lora` added, in that call."""
        return self._loras

    def close(self) -> None:
        """Finishes the image in progress, ends the worker thread and releases the model."""
        self._worker.shutdown()
        with self._lock:
            self._let_go()

    def _make(
        self, call: Call, cancelled: Callable[[], bool], progress: Progress | None
    ) -> tuple[Request, Sequence[Image], dict[str, float], Sequence[str]]:
        started = time.perf_counter()
        self._active, self._cancelled = self._loras + call.loras, cancelled
        prepared = self.pipeline.run(call.request)
        unet = self._with_loras().unet if self._active else None
        ready = time.perf_counter()
        images, timings, notes = self._engine().render(
            prepared, unet=unet, cancelled=cancelled, progress=progress
        )
        for change in self.postprocess:
            images = tuple(change(image) for image in images)
        return prepared, images, {"preprocess": ready - started, **timings}, notes

    def _offload(self, plan: RenderPlan | None = None) -> bool | None:
        """Whether unused parts leave the GPU: True, False, or None if `plan` may decide. A model that others
        may share stays where it is.
        """
        if plan is not None:
            self._medvram = plan.medvram
        elif not self._medvram and self._model is None and self._device() == "cuda":
            return None
        return self._medvram

    def _memory_needed(self, request: Request, plan: RenderPlan) -> memory.Estimate:
        import_libraries()
        return memory.estimate(
            self._folder(),
            request.width,
            request.height,
            rows=plan.batch * (1 if request.cfg_scale == 1.0 else 2),
            cuda=self._device() == "cuda",
            medvram=plan.medvram,
            tile=plan.tile,
            decoder_tile=plan.decoder_tile,
            encode=request.init_image is not None,
        )

    def _engine(self) -> RenderEngine:
        config = self.config
        device = self._device()
        return RenderEngine(
            self._loaded(),
            config.sampler,
            device,
            self._medvram and device == "cuda",
            config.threads,
            config.acceleration,
            config.streams,
        )

    def _with_loras(self) -> LoadedModel:
        """The model for the current image, with its LoRAs."""
        model = self._loaded()
        if not self._active:
            return model
        if self._adapted is None or self._adapted[0] != self._active:
            self._adapted = (self._active, with_loras(model, self._active))
        return self._adapted[1]

    def _load_locked(self) -> LoadedModel:
        with self._lock:
            return self._loaded()

    @property
    def _model(self) -> LoadedModel | None:
        return self._lease.model if self._lease is not None else None

    def _loaded(self) -> LoadedModel:
        if self._lease is None:
            import_libraries()
            sha256 = self.config.model.sha256 if self.config.model else None
            device = self._device()
            if self._medvram and device == "cuda":
                # A private copy, because its parts move to the GPU and back.
                self._lease = ModelLoader().acquire(self._folder(), sha256, half=True)
            else:
                self._lease = _LOADER.acquire(self._folder(), sha256, device=device, half=device == "cuda")
            if device == "cuda":
                caps.limit_cuda(self.config.memory_limit)
                calibration.once(self._lease.model)
        use_threads(self.config.threads)
        return self._lease.model

    def _let_go(self) -> None:
        lease, self._lease, self._adapted = self._lease, None, None
        if lease is not None:
            lease.release()

    def _folder(self) -> Path:
        source = self.config.model
        if source is None:
            return tiny_model(self.config.model_type)
        if source.url is None or source.sha256 is None:
            return source.path
        return fetch_model(
            source.url,
            source.sha256,
            bandwidth_limit=source.bandwidth_limit,
            cancelled=self._cancelled,
        )

    def _device(self, config: PluginConfig | None = None) -> str:
        wanted = (config or self.config).device
        if wanted == "cpu":
            return "cpu"
        check_libraries()
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if wanted == "cuda":
            raise ModelNotLoaded(
                "There is no CUDA device that torch can use.",
                ['Set device to "auto" or "cpu".', "Install a CUDA build of torch and the GPU's driver."],
            )
        return "cpu"


def _never() -> bool:
    return False


_LOADER = ModelLoader()
"""One per process, so that plugins with the same model share its weights."""
