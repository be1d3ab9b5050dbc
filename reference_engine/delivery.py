"""The last step for every image: it is marked and wrapped as a result. Its pixels never change afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .config import PluginConfig
from .errors import InvalidParameter
from .marking import METHOD, bits_from_hex, content_id, mark, png_text, xmp_packet
from .preprocess.prompts import PromptCheck
from .preprocess.request import Request
from .result import ImageResult, Marks
from .version import __version__

if TYPE_CHECKING:
    from PIL.Image import Image


def parameter_table(request: Request, config: PluginConfig) -> dict[str, Any]:
    """The content of "parameters-json": everything needed to make the image again, except an initial image
    and LoRAs.
    """
    table: dict[str, Any] = {
        "seed": request.seed,
        "steps": request.steps,
        "cfg_scale": request.cfg_scale,
        "sampler": config.sampler.algorithm,
        "model_type": config.model_type,
        "width": request.width,
        "height": request.height,
        "sdk": __version__,
    }
    if request.init_image is not None:
        table["strength"] = request.strength
    return table


def deliver_all(
    images: Sequence[Image], *, seed: int, parameters: Mapping[str, Any], **facts: Any
) -> ImageResult:
    """`deliver` for every image of one call. Returns the first result, with the others in it. Image number n
    (from 0) has the seed `seed` + n.
    """
    results = [
        deliver(image, seed=seed + number, parameters={**parameters, "seed": seed + number}, **facts)
        for number, image in enumerate(images)
    ]
    return replace(results[0], others=tuple(results[1:]))


def deliver(
    image: Image,
    *,
    prompt: str,
    negative_prompt: str = "",
    seed: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    config: PluginConfig | Mapping[str, Any] | str | None = None,
    timings: Mapping[str, float] | None = None,
    kept: str = "",
    lost: str = "",
    warnings: Iterable[str] | None = None,
) -> ImageResult:
    """Marks `image` (any PIL mode; becomes RGB) and wraps it as a result. Loads no model.

    `parameters` are added to those that are always written (seed, width, height, model_type, sdk). Text from
    `marking` in the configuration comes before the SDK's own text, and replaces none of it. Raises
    InvalidParameter if the image is too small for the mark, and InvalidPrompt if a prompt cannot be written
    into a file.
    """
    from PIL import Image as pil_image

    settings = PluginConfig.parse(config)
    PromptCheck.check_text(prompt, negative_prompt)
    if not isinstance(image, pil_image.Image):
        raise InvalidParameter(
            f"A delivered image must be a PIL image, not {type(image).__name__}.",
            (),
            ["Return the image from every function of postprocess, even if it is unchanged."],
        )
    started = time.perf_counter()
    policy = settings.marking
    marked = mark(image, bits_from_hex(settings.watermark_payload), policy.label)
    seconds = time.perf_counter() - started
    table: dict[str, Any] = {
        "seed": seed,
        "model_type": settings.model_type,
        **(parameters or {}),
        "width": marked.width,
        "height": marked.height,
        "sdk": __version__,
    }
    created = datetime.now(timezone.utc).isoformat(timespec="seconds") if policy.provider else ""
    packet = xmp_packet(policy.provider, content_id(marked), created)
    return ImageResult(
        image=marked,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=seed,
        width=marked.width,
        height=marked.height,
        marks=Marks(METHOD, settings.watermark_payload),
        metadata={**policy.text, **png_text(prompt, negative_prompt, table, packet)},
        credentials=policy.credentials,
        provider=policy.provider,
        timings={**(timings or {}), "mark": seconds},
        truncated=bool(lost),
        kept=kept or (prompt if not lost else ""),
        lost=lost,
        warnings=tuple(settings.warnings if warnings is None else warnings),
    )
