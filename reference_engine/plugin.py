"""A plugin of the SDK: one configuration, one model, images on demand."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import PluginConfig
from .delivery import deliver, parameter_table
from .errors import InvalidParameter, ModelNotLoaded
from .models.folder import check_folder
from .models.loader import LoadedModel, ModelLoader
from .models.lora import Lora, check_lora, with_loras
from .models.tiny import tiny_model
from .preprocess import InitialLatents, ParameterCheck, PreprocessPipeline, PromptCheck, Request, TextEncoding
from .render import memory
from .render.engine import RenderEngine, use_threads
from .result import ImageResult

if TYPE_CHECKING:
    from PIL.Image import Image

LoraSpec = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]
"""A LoRA's file, or the file and its scale."""

_NATIVE_SIZE = {"v1.4": 512, "v1.5": 512, "v2.0": 768}


class Plugin:
    """What `SDK.create_plugin` returns. Safe to use from several threads and tasks: images are made one after
    another.

    `pipeline` is the chain of preprocessing stages, to insert into, replace and reorder. `postprocess` holds
    functions from image to image that run before the mark is written; nothing can run after it.
    """

    def __init__(self, config: PluginConfig) -> None:
        """Checks the model's folder (and hash) where one is configured; loads nothing yet. Raises
        ModelNotLoaded.
        """
        if config.model is not None:
            check_folder(config.model.path, config.model.sha256)
        self.config = config
        self.postprocess: list[Callable[[Image], Image]] = []
        self.pipeline = PreprocessPipeline(
            [
                ParameterCheck(payload_bits=len(config.watermark_payload) * 4),
                PromptCheck(config.sensitive_words),
                memory.MemoryCheck(self._memory_needed, config.memory_limit),
                TextEncoding(self._loaded),
                InitialLatents(),
            ]
        )
        self._lock = threading.Lock()
        self._model: LoadedModel | None = None
        self._loras: tuple[Lora, ...] = ()
        self._unet_with: tuple[tuple[Lora, ...], Any] = ((), None)

    async def load(self) -> None:
        """Loads the model now, and not at the first image. Raises ModelNotLoaded."""
        await asyncio.to_thread(self._load_locked)

    async def generate_image(
        self,
        prompt: str,
        negative_prompt: str = "",
        steps: int = 28,
        cfg_scale: float = 7.5,
        *,
        seed: int | None = None,
        width: int | None = None,
        height: int | None = None,
        loras: Sequence[LoraSpec] = (),
    ) -> ImageResult:
        """One marked image. `steps` 5 to 50; `cfg_scale` 0 to 30; sides in pixels, multiples of 8 from 64, at
        most 1024 x 1024 in all.

        Without a seed one is drawn, and told in the result; without sides the model's native ones are used.
        `loras` act on this image alone, beside those that `load_lora` added. Raises InvalidParameter,
        InvalidPrompt, ModelNotLoaded, OutOfMemory. A cancelled task stops at the next step.
        """
        native = _NATIVE_SIZE[self.config.model_type]
        request = Request(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=steps,
            cfg_scale=cfg_scale,
            seed=secrets.randbelow(2**32) if seed is None else seed,
            width=native if width is None else width,
            height=native if height is None else height,
            warnings=self.config.warnings,
        )
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._generate, request, _lora_list(loras), stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    def load_lora(self, path: str | os.PathLike[str], scale: float = 1.0) -> None:
        """Adds a LoRA to every image from now on. Raises ModelNotLoaded where it does not fit; nothing
        then has changed.
        """
        (lora,) = _lora_list([(path, scale)])
        model = self._load_locked()
        check_lora(lora, model.unet)
        with self._lock:
            self._loras += (lora,)

    def unload_loras(self) -> None:
        """Removes every added LoRA: the model's weights were never touched, so images are again what they
        were.
        """
        with self._lock:
            self._loras, self._unet_with = (), ((), None)

    def _generate(self, request: Request, loras: tuple[Lora, ...], stop: threading.Event) -> ImageResult:
        with self._lock:
            prepared, image, timings = memory.out_of_memory_told(lambda: self._make(request, loras, stop))
        return deliver(
            image,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            seed=prepared.seed,
            parameters=parameter_table(prepared, self.config),
            config=self.config,
            timings=timings,
            kept=prepared.kept,
            lost=prepared.lost,
            warnings=prepared.warnings,
        )

    def _make(
        self, request: Request, loras: tuple[Lora, ...], stop: threading.Event
    ) -> tuple[Request, Image, dict[str, float]]:
        started = time.perf_counter()
        prepared = self.pipeline.run(request)
        unet = self._unet(self._loras + loras)
        ready = time.perf_counter()
        image, timings = self._engine().render(prepared, unet=unet, cancelled=stop.is_set)
        for change in self.postprocess:
            image = change(image)
        return prepared, image, {"preprocess": ready - started, **timings}

    def _memory_needed(self, request: Request) -> memory.Estimate:
        return memory.estimate(
            self._folder(),
            request.width,
            request.height,
            rows=1 if request.cfg_scale == 1.0 else 2,
            cuda=self._device() == "cuda",
            medvram=self.config.medvram,
        )

    def _engine(self) -> RenderEngine:
        config = self.config
        device = self._device()
        return RenderEngine(
            self._loaded(), config.sampler, device, config.medvram and device == "cuda", config.threads
        )

    def _unet(self, loras: tuple[Lora, ...]) -> Any:
        if not loras:
            return None
        if self._unet_with[0] != loras:
            self._unet_with = (loras, with_loras(self._loaded().unet, loras))
        return self._unet_with[1]

    def _load_locked(self) -> LoadedModel:
        with self._lock:
            return self._loaded()

    def _loaded(self) -> LoadedModel:
        if self._model is None:
            sha256 = self.config.model.sha256 if self.config.model else None
            device = self._device()
            if self.config.medvram and device == "cuda":
                # A copy of its own, since its parts move to the GPU and back.
                self._model = ModelLoader().load_local(self._folder(), sha256, half=True)
            else:
                self._model = _LOADER.load_local(self._folder(), sha256, device=device, half=device == "cuda")
        use_threads(self.config.threads)
        return self._model

    def _folder(self) -> Path:
        if self.config.model is not None:
            return self.config.model.path
        return tiny_model(self.config.model_type)

    def _device(self) -> str:
        if self.config.device == "cpu":
            return "cpu"
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if self.config.device == "cuda":
            raise ModelNotLoaded(
                "There is no CUDA device that torch can use.",
                ['Set device to "auto" or "cpu".', "Install a CUDA build of torch and the GPU's driver."],
            )
        return "cpu"


_LOADER = ModelLoader()
"""One for the process, so that plugins on the same model share its weights."""


def _lora_list(specs: Sequence[LoraSpec]) -> tuple[Lora, ...]:
    loras = []
    for spec in [specs] if isinstance(specs, (str, os.PathLike)) else specs:  # one file alone is meant, too
        path, scale = spec if isinstance(spec, tuple) else (spec, 1.0)
        if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not -10 <= scale <= 10:
            raise InvalidParameter(f"A LoRA's scale must be a number from -10 to 10, not {scale!r}.", ())
        loras.append(Lora(Path(path).resolve(), float(scale)))
    return tuple(loras)
