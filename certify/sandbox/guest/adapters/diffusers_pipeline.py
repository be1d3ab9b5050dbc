"""Unmodified diffusers pipelines: `module:Class`, opened on the model folder of the run.

The adapter gives them the SDK's interface. It checks the number of steps (diffusers pipelines accept any
number) and passes everything else through. A feature that the pipeline lacks is also missing here.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from reference_engine import InvalidParameter, ModelNotLoaded
from reference_engine.models.folder import check_folder
from reference_engine.models.tiny import tiny_model

DEFAULT_ENTRY = "diffusers:StableDiffusionPipeline"
STEPS = range(5, 51)


class PipelineImage:
    """The result of a pipeline: its images, the first image, and the seed."""

    def __init__(self, images: list[Any], seed: int) -> None:
        self.images = images
        self.image = images[0]
        self.seed = seed


class PipelinePlugin:
    """A diffusers pipeline behind the SDK's `generate_image`."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._accepts = set(inspect.signature(pipeline.__call__).parameters)

    async def generate_image(
        self,
        prompt: str,
        negative_prompt: str = "",
        steps: int = 28,
        cfg_scale: float = 7.5,
        num_images: int = 1,
        init_image: Any = None,
        **parameters: Any,
    ) -> PipelineImage:
        import torch

        if steps not in STEPS:
            mistake = f"steps must lie in 5 to 50, not {steps}."
            raise InvalidParameter(mistake, [mistake])
        if init_image is not None:
            parameters["image"] = self._start(init_image, parameters)
        seed = int(parameters.pop("seed", 0))
        arguments = {
            "prompt": prompt,
            "negative_prompt": negative_prompt or None,
            "num_inference_steps": steps,
            "guidance_scale": cfg_scale,
            "num_images_per_prompt": num_images,
            "generator": torch.Generator("cpu").manual_seed(seed),
            **parameters,
        }
        output = self._pipeline(**{name: value for name, value in arguments.items() if name in self._accepts})
        return PipelineImage(list(output.images), seed)

    def _start(self, image: Any, parameters: dict[str, Any]) -> Any:
        """The init image in the requested size, because these pipelines return images of its size."""
        if "image" not in self._accepts:
            mistake = "This pipeline takes no init image."
            raise InvalidParameter(mistake, [mistake])
        return image.resize((parameters.get("width", image.width), parameters.get("height", image.height)))


def open_plugin(root: str, entry: str | None, config: dict[str, Any]) -> PipelinePlugin:
    """Raises ModelNotLoaded where the configured folder is missing or damaged."""
    import torch

    os.environ.setdefault("HF_MODULES_CACHE", str(Path(os.environ.get("HOME", ".")) / "modules"))
    sys.path.insert(0, root)
    model = config.get("model")
    folder = model["path"] if model else str(tiny_model(config.get("model_type", "v1.5")))
    if model:
        check_folder(Path(folder), model.get("sha256"))
    module, _, name = (entry or DEFAULT_ENTRY).partition(":")
    kind = getattr(importlib.import_module(module), name)
    torch.set_num_threads(int(config.get("threads", 1)))
    pipeline = kind.from_pretrained(
        folder,
        torch_dtype=torch.float32,
        safety_checker=None,
        feature_extractor=None,
        local_files_only=True,
    )
    if pipeline is None:
        raise ModelNotLoaded(f"{name} could not be opened on {folder}.")
    pipeline.set_progress_bar_config(disable=True)
    return PipelinePlugin(pipeline)
