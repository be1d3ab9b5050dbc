"""Attention without repeated work.

Keys and values of the prompt depend only on the embeddings and the weights. So all steps of a run, and all
tiles of a step, use those of the first. With guidance the batch holds each image twice, and the halves differ
only after the first cross-attention. The self-attention before it, the most expensive one, is computed for
one half. The result is equal bit for bit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_run = threading.local()
_installing = threading.Lock()
_SPECIAL = ("norm_cross", "norm_q", "norm_k", "group_norm", "spatial_norm")
"""No cross-attention of Stable Diffusion has these; layers that do are left unchanged."""


@contextmanager
def prompt_kept(unet: Any) -> Iterator[None]:
    """A context in which, in this thread, each cross-attention of `unet` projects a context tensor once, and
    the first self-attention computes equal halves of a batch once.
    """
    with _installing:
        _install(unet)
    before, _run.kept = getattr(_run, "kept", None), {}
    try:
        yield
    finally:
        _run.kept = before


def _install(unet: Any) -> None:
    """Replaces plain processors by ours. Others (LoRAs of an old kind, IP adapters) stay."""
    if not hasattr(unet, "named_modules") or isinstance(getattr(unet, "_kept_prompt", None), bool):
        return
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0

    plain: Any = AttnProcessor2_0
    kept_prompt, equal_halves = _processors()
    first = True
    for module in unet.modules():
        if not isinstance(module, Attention) or not (module.is_cross_attention or first):
            continue
        if type(module.processor) is plain and all(getattr(module, name, None) is None for name in _SPECIAL):
            module.processor = kept_prompt if module.is_cross_attention else equal_halves
        first = first and module.is_cross_attention
    unet._kept_prompt = True


@lru_cache(maxsize=1)
def _processors() -> tuple[Any, Any]:
    """For cross-attention, and for the first self-attention. They pass other cases to their base class."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    class KeptPrompt(AttnProcessor2_0):
        def __call__(
            self,
            attn: Any,
            hidden_states: Any,
            encoder_hidden_states: Any = None,
            attention_mask: Any = None,
            temb: Any = None,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            kept = getattr(_run, "kept", None)
            plain = encoder_hidden_states is not None and attention_mask is None and hidden_states.ndim == 3
            if kept is None or not plain:
                return super().__call__(
                    attn, hidden_states, encoder_hidden_states, attention_mask, temb, *args, **kwargs
                )
            cached = kept.get(attn)
            if cached is None or cached[0] is not encoder_hidden_states:
                keys, values = attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
                cached = encoder_hidden_states, _by_head(keys, attn), _by_head(values, attn)
                kept[attn] = cached
            query = _by_head(attn.to_q(hidden_states), attn)
            return _left(attn, hidden_states, _attended(query, cached[1], cached[2]))

    class EqualHalves(AttnProcessor2_0):
        def __call__(
            self,
            attn: Any,
            hidden_states: Any,
            encoder_hidden_states: Any = None,
            attention_mask: Any = None,
            temb: Any = None,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            plain = encoder_hidden_states is None and attention_mask is None and hidden_states.ndim == 3
            # On a GPU the comparison would make the CPU wait for it.
            if getattr(_run, "kept", None) is None or not plain or hidden_states.device.type != "cpu":
                return super().__call__(
                    attn, hidden_states, encoder_hidden_states, attention_mask, temb, *args, **kwargs
                )
            projected = [layer(hidden_states) for layer in (attn.to_q, attn.to_k, attn.to_v)]
            half, odd = divmod(len(hidden_states), 2)
            # Compared, not assumed: a matrix product may round equal rows differently by their place.
            if not odd and all(_equal(part[:half], part[half:]) for part in projected):
                seen = _attended(*(_by_head(part[:half], attn) for part in projected))
                seen = seen.repeat(2, 1, 1)
            else:
                seen = _attended(*(_by_head(part, attn) for part in projected))
            return _left(attn, hidden_states, seen)

    made: tuple[Any, Any] = KeptPrompt, EqualHalves
    return made[0](), made[1]()


def _equal(one: Any, other: Any) -> bool:
    import torch

    return torch.equal(one, other)


def _attended(query: Any, keys: Any, values: Any) -> Any:
    """From (rows, heads, tokens, width of a head) to (rows, tokens, width)."""
    import torch.nn.functional as functional

    seen = functional.scaled_dot_product_attention(query, keys, values, dropout_p=0.0)
    return seen.transpose(1, 2).flatten(2).to(query.dtype)


def _left(attn: Any, hidden_states: Any, seen: Any) -> Any:
    """The layer's output: its last projection of `seen`, and the layer's residual and scale."""
    seen = attn.to_out[1](attn.to_out[0](seen))
    if attn.residual_connection:
        seen = seen + hidden_states
    return seen / attn.rescale_output_factor if attn.rescale_output_factor != 1.0 else seen


def _by_head(projected: Any, attn: Any) -> Any:
    """(rows, tokens, width) to (rows, heads, tokens, width of a head)."""
    rows, tokens, width = projected.shape
    return projected.view(rows, tokens, attn.heads, width // attn.heads).transpose(1, 2)
