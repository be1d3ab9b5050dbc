"""One call of `generate_image`: its options, stated once for every class that has the method, and the request
that a worker carries out.
"""

from __future__ import annotations

import functools
import inspect
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .config import PluginConfig
from .errors import InvalidParameter
from .guidance import MODELS
from .models.lora import Lora
from .preprocess.request import DEFAULT_CFG_SCALE, DEFAULT_STEPS, DEFAULT_STRENGTH, Request
from .progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image

Owner = TypeVar("Owner")
Options = TypeVar("Options")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

LoraSpec = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]
"""A LoRA's file, or the file and its scale."""

SEEDS = 2**32
"""A drawn seed is below this, so that it is short enough to copy by hand."""


@dataclass(frozen=True)
class CallOptions:
    """The parameters of a queued image (`PluginPool.submit`). `Plugin.generate_image` documents each."""

    prompt: str
    negative_prompt: str = ""
    steps: int = DEFAULT_STEPS
    cfg_scale: float = DEFAULT_CFG_SCALE
    _: KW_ONLY
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    init_image: Image | None = None
    strength: float = DEFAULT_STRENGTH
    num_images: int = 1
    loras: Sequence[LoraSpec] = ()
    progress: Progress | None = None


@dataclass(frozen=True)
class GenerationOptions(CallOptions):
    """The parameters of `generate_image`: those of a queued image, and a timeout in seconds."""

    _: KW_ONLY
    timeout: float | None = None


def accepts(
    options: Callable[Parameters, Options],
) -> Callable[[Callable[[Owner, Options], Result]], Callable[Concatenate[Owner, Parameters], Result]]:
    """Gives a method the fields of the dataclass `options` as its parameters, with their defaults.

    The method itself takes one instance. Its signature, for people and for `inspect`, lists the fields; wrong
    arguments raise TypeError, as in any function.
    """
    fields = inspect.signature(options)

    def decorate(
        method: Callable[[Owner, Options], Result],
    ) -> Callable[Concatenate[Owner, Parameters], Result]:
        def read(arguments: Any, keywords: Any) -> Options:
            try:
                fields.bind(*arguments, **keywords)
            except TypeError as error:
                raise TypeError(f"{method.__qualname__}() {error}") from None
            return options(*arguments, **keywords)

        def call(owner: Owner, /, *arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
            return method(owner, read(arguments, keywords))

        async def call_async(owner: Any, /, *arguments: Any, **keywords: Any) -> Any:
            result: Any = method(owner, read(arguments, keywords))
            return await result

        wrapper: Any = functools.wraps(method)(
            call_async if inspect.iscoroutinefunction(method) else call  # so that it is declared as one
        )
        own = inspect.signature(method)
        first = next(iter(own.parameters.values()))
        wrapper.__signature__ = own.replace(parameters=[first, *fields.parameters.values()])
        return wrapper  # type: ignore[no-any-return]

    return decorate


@dataclass(frozen=True)
class Call:
    """One call: its request, and the LoRAs for this call alone."""

    request: Request
    loras: tuple[Lora, ...] = ()


def make_call(config: PluginConfig, options: CallOptions) -> Call:
    """Fills in what was left out: draws a seed, and takes the size of `init_image` (rounded down to multiples
    of 8) or else the model's native size.

    Raises InvalidParameter for a LoRA's scale out of range. Stages of the pipeline make all other checks.
    """
    native = MODELS[config.model_type].native_size
    width, height = _size(options.init_image) or (native, native)
    request = Request(
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
        steps=options.steps,
        cfg_scale=options.cfg_scale,
        seed=secrets.randbelow(SEEDS) if options.seed is None else options.seed,
        width=width if options.width is None else options.width,
        height=height if options.height is None else options.height,
        init_image=options.init_image,
        strength=options.strength,
        num_images=options.num_images,
        warnings=config.warnings,
    )
    return Call(request, lora_list(options.loras))


def lora_list(specs: Sequence[LoraSpec]) -> tuple[Lora, ...]:
    """LoRAs from files, or from pairs of file and scale. Raises InvalidParameter for a scale that is not a
    number from -10 to 10.
    """
    loras = []
    for spec in [specs] if isinstance(specs, (str, os.PathLike)) else specs:  # a single file is accepted, too
        path, scale = spec if isinstance(spec, tuple) else (spec, 1.0)
        if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not -10 <= scale <= 10:
            raise InvalidParameter(f"A LoRA's scale must be a number from -10 to 10, not {scale!r}.", ())
        loras.append(Lora(Path(path).resolve(), float(scale)))
    return tuple(loras)


def _size(image: Image | None) -> tuple[int, int] | None:
    size = getattr(image, "size", None)
    if not isinstance(size, tuple) or len(size) != 2:
        return None  # the check of parameters reports what is not an image
    return size[0] // 8 * 8, size[1] // 8 * 8
