"""The entry points of the SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .config import PluginConfig
from .delivery import deliver
from .plugin import Plugin
from .pool import PluginPool
from .preprocess import ParameterCheck, PromptCheck, Request
from .preprocess.request import DEFAULT_CFG_SCALE, DEFAULT_STEPS
from .result import ImageResult
from .version import __version__

if TYPE_CHECKING:
    from PIL.Image import Image

Config = PluginConfig | Mapping[str, Any] | str | None


class SDK:
    """Creates plugins. Offers the SDK's checks and marks to plugins with their own engine."""

    version = __version__

    @staticmethod
    def create_plugin(config: Config = None) -> Plugin:
        """A plugin from a JSON object (or its text). Every key has a default.

        Raises ConfigError with every mistake at once, and ModelNotLoaded if a configured model is missing or
        altered. The model is loaded at the first image, or by `await plugin.load()`.
        """
        return Plugin(PluginConfig.parse(config))

    @staticmethod
    def create_pool(
        config: Config = None,
        *,
        threads: int = 4,
        persistent_workers: bool | None = None,
        setup: Callable[[Plugin], None] | None = None,
    ) -> PluginPool:
        """A pool of `threads` (1 to 64) plugins over one copy of the weights, for several images at a time.

        `persistent_workers` overrides the configuration. `setup` is called with each thread's plugin before
        its first image. Raises the errors of `create_plugin`, and InvalidParameter for the number of threads.
        """
        settings = PluginConfig.parse(config)
        if persistent_workers is not None:
            settings = replace(settings, persistent_workers=persistent_workers)
        return PluginPool(settings, threads, setup)

    @staticmethod
    def deliver(
        image: Image,
        *,
        prompt: str,
        negative_prompt: str = "",
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        config: Config = None,
        timings: Mapping[str, float] | None = None,
    ) -> ImageResult:
        """Marks an image that a plugin made with its own engine, and wraps it as a result. Loads no model.

        `parameters` are written into the file together with seed, size and model type. Raises
        InvalidParameter if the image is too small for the mark (64 x 64 pixels are enough), and InvalidPrompt
        if a prompt cannot be stored.
        """
        return deliver(
            image,
            prompt=prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            parameters=parameters,
            config=config,
            timings=timings,
        )

    @staticmethod
    def check_request(
        prompt: str,
        negative_prompt: str = "",
        steps: int = DEFAULT_STEPS,
        cfg_scale: float = DEFAULT_CFG_SCALE,
        seed: int = 0,
        width: int = 512,
        height: int = 512,
        config: Config = None,
    ) -> None:
        """The checks that every generation passes, for plugins with their own engine.

        Raises InvalidParameter with every wrong parameter at once, then InvalidPrompt. Loads no model.
        """
        settings = PluginConfig.parse(config)
        request = Request(prompt, negative_prompt, steps, cfg_scale, seed, width, height)
        ParameterCheck(len(settings.watermark_payload) * 4, settings.large)(request)
        PromptCheck(settings.sensitive_words, settings.word_list)(request)
