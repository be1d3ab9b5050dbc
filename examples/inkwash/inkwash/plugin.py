"""The plugin: a style for the prompt, a LoRA for the lines, paper and ink for the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter, ImageOps

STYLE = "ink wash painting, bold brush lines, bare paper"
LORA = Path(__file__).parent.parent / "loras" / "ink-lines.safetensors"
LORA_SCALE = 0.6
PAPER, INK = (236, 228, 210), (38, 40, 56)
# How much of the picture's own colour stays under the wash.
COLOUR = 0.25


class InkStyle:
    """A stage before the text encoder. What users read back is the prompt that they wrote."""

    name = "ink-style"

    def __call__(self, request: Any) -> Any:
        return replace(request, prompt=f"{request.prompt}, {STYLE}")


def ink_and_paper(image: Image.Image) -> Image.Image:
    """Grey tones from ink to paper, lines sharpened, with a breath of the picture's own colour."""
    lines = ImageOps.grayscale(image).filter(ImageFilter.UnsharpMask(radius=2, percent=80))
    wash = ImageOps.colorize(lines, black=INK, white=PAPER)
    return Image.blend(wash, image.convert("RGB"), COLOUR)


class Inkwash:
    """`generate_image` as the SDK declares it; everything else is the engine's."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        engine.pipeline.insert(InkStyle(), before="text")
        engine.postprocess.append(ink_and_paper)

    async def generate_image(
        self,
        prompt: str,
        negative_prompt: str = "",
        steps: int = 28,
        cfg_scale: float = 7.5,
        **parameters: Any,
    ) -> Any:
        loras = [(LORA, LORA_SCALE), *parameters.pop("loras", ())]
        return await self._engine.generate_image(
            prompt, negative_prompt, steps, cfg_scale, loras=loras, **parameters
        )


def create(sdk: Any, config: dict[str, Any]) -> Inkwash:
    """The entry: the SDK calls it with itself and the plugin's configuration."""
    return Inkwash(sdk.create_plugin(config))
