"""The stage that turns the prompts into embeddings, with the width of the model's own text encoder."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .request import Request

if TYPE_CHECKING:
    from ..models.loader import LoadedModel

CACHED_PROMPTS = 8


class TextEncoding:
    """Runs the model's text encoder on tokens padded to its 77: 768 wide for v1.4 and v1.5, 1024 for v2.0.

    A prompt with more tokens than fit between start and end marks (75) is cut, as in every Stable Diffusion.
    The request then has the `kept` and the `lost` text. The embeddings of the last few prompts are cached, so
    this is not thread-safe.
    """

    name = "text"

    def __init__(self, model: Callable[[], LoadedModel]) -> None:
        """`model` is called when the stage runs, so that earlier stages can refuse a request before the model
        is loaded.
        """
        self._model = model
        self._cache: OrderedDict[str, tuple[Any, str, str]] = OrderedDict()
        self._encoder: Callable[[], Any] = lambda: None

    def __call__(self, request: Request) -> Request:
        embeddings, kept, lost = self._encode(request.prompt)
        negative, _, negative_lost = self._encode(request.negative_prompt)
        warnings = request.warnings
        if lost:
            warnings += (_truncated("prompt", lost),)
        if negative_lost:
            warnings += (_truncated("negative prompt", negative_lost),)
        return replace(
            request,
            embeddings=embeddings,
            negative_embeddings=negative,
            kept=kept,
            lost=lost,
            warnings=warnings,
        )

    def _encode(self, text: str) -> tuple[Any, str, str]:
        model = self._model()
        if self._encoder() is not model.text_encoder:  # of a LoRA, or of a reloaded model
            self._cache.clear()
            self._encoder = weakref.ref(model.text_encoder)
        if text not in self._cache:
            ids, kept, lost = model.tokenize(text)
            self._cache[text] = model.encode(ids), kept, lost
            if len(self._cache) > CACHED_PROMPTS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(text)
        return self._cache[text]


def _truncated(which: str, lost: str) -> str:
    return f'The {which} is longer than the model reads; this part had no effect: "{lost.strip()}"'
