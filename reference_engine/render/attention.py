"""Cross-attention that projects the prompt once an image and not once a step.

Keys and values of the prompt depend on the embeddings and the weights alone, so every step of a run, and
every tile of a step, can use those of the first. The result is equal bit for bit.
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
"""What no Stable Diffusion cross-attention has, and ours therefore leaves alone."""


@contextmanager
def prompt_kept(unet: Any) -> Iterator[None]:
    """Within it, in this thread, each cross-attention of `unet` projects a context tensor once."""
    with _installing:
        _install(unet)
    before, _run.kept = getattr(_run, "kept", None), {}
    try:
        yield
    finally:
        _run.kept = before


def _install(unet: Any) -> None:
    """Puts our processor where the plain one is; those of others (LoRAs of an old kind, IP adapters) stay."""
    if not hasattr(unet, "named_modules") or isinstance(getattr(unet, "_kept_prompt", None), bool):
        return
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0

    plain: Any = AttnProcessor2_0
    for module in unet.modules():
        if (
            isinstance(module, Attention)
            and module.is_cross_attention
            and type(module.processor) is plain
            and all(getattr(module, name, None) is None for name in _SPECIAL)
        ):
            module.processor = _processor()
    unet._kept_prompt = True


@lru_cache(maxsize=1)
def _processor() -> Any:
    import torch.nn.functional as functional
    from diffusers.models.attention_processor import AttnProcessor2_0

    class KeptPrompt(AttnProcessor2_0):
        """As its base, which it leaves everything to that is not a plain cross-attention."""

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
            found = kept.get(attn)
            if found is None or found[0] is not encoder_hidden_states:
                keys, values = attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
                found = encoder_hidden_states, _by_head(keys, attn), _by_head(values, attn)
                kept[attn] = found
            query = _by_head(attn.to_q(hidden_states), attn)
            seen = functional.scaled_dot_product_attention(query, found[1], found[2], dropout_p=0.0)
            seen = seen.transpose(1, 2).reshape(*hidden_states.shape[:2], -1).to(query.dtype)
            seen = attn.to_out[1](attn.to_out[0](seen))
            if attn.residual_connection:
                seen = seen + hidden_states
            return seen / attn.rescale_output_factor if attn.rescale_output_factor != 1.0 else seen

    made: Any = KeptPrompt
    return made()


def _by_head(projected: Any, attn: Any) -> Any:
    """(rows, tokens, width) to (rows, heads, tokens, width of a head)."""
    rows, tokens, width = projected.shape
    return projected.view(rows, tokens, attn.heads, width // attn.heads).transpose(1, 2)
