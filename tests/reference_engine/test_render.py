"""The render engine: batches, initial images, kept prompts, progress."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reference_engine import SDK, InvalidParameter
from reference_engine.plugin import Plugin
from reference_engine.preprocess import InitialLatents, Request
from reference_engine.render import autoencoder
from reference_engine.render.attention import prompt_kept

SMALL: dict[str, Any] = {"steps": 5, "width": 64, "height": 64, "seed": 1}


def pixels(image: Any) -> Any:
    return np.asarray(image).astype(int)


def rendered(plugin: Plugin, request: Request, **more: Any) -> Any:
    """The unmarked images."""
    prepared = plugin.pipeline.run(request)
    return plugin._engine().render(prepared, **more)


@pytest.mark.parametrize("algorithm", ["DDIM", "Euler a"])
def test_an_image_of_a_batch_is_the_one_its_seed_makes_alone(algorithm: str) -> None:
    """A8: within 1/255, since other batches round otherwise; the noise is equal bit for bit."""
    plugin = SDK.create_plugin({"device": "cpu", "sampler_config": {"algorithm": algorithm}})
    batch, _, notes = rendered(plugin, Request("a cat", num_images=3, **SMALL))
    assert len(batch) == 3 and notes == ()
    for number, image in enumerate(batch):
        (alone,), _, _ = rendered(plugin, Request("a cat", **{**SMALL, "seed": 1 + number}))
        assert np.abs(pixels(image) - pixels(alone)).max() <= 1
    assert np.abs(pixels(batch[0]) - pixels(batch[1])).mean() > 10


def test_the_noise_of_a_batch_is_that_of_single_images() -> None:
    """A6; sizes whose count of values is no multiple of 16, too."""
    batch = InitialLatents()(Request("", seed=7, num_images=3, width=40, height=56))
    for number in range(3):
        alone = InitialLatents()(Request("", seed=7 + number, width=40, height=56))
        assert torch.equal(batch.latents[number], alone.latents[0])
        assert torch.equal(batch.generators[number].get_state(), alone.generators[0].get_state())


def test_a_batch_that_is_split_for_memory_gives_the_same_images(plugin: Plugin) -> None:
    from dataclasses import replace

    from reference_engine.preprocess.request import RenderPlan

    prepared = plugin.pipeline.run(Request("a cat", num_images=3, **SMALL))
    told: list[tuple[int, int]] = []
    split = plugin._engine().render(
        replace(prepared, plan=RenderPlan(2)), progress=lambda done, total: told.append((done, total))
    )[0]
    whole = plugin._engine().render(plugin.pipeline.run(Request("a cat", num_images=3, **SMALL)))[0]
    for one, other in zip(split, whole, strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 1
    assert told == [(done, 10) for done in range(1, 11)]


def test_every_image_of_a_call_is_marked_and_has_its_seed(plugin: Plugin) -> None:
    result = asyncio.run(plugin.generate_image("a cat", num_images=2, **SMALL))
    assert len(result.images) == 2
    assert result.images[0].tobytes() != result.images[1].tobytes()


def test_progress_counts_the_steps_and_ends_at_their_number(plugin: Plugin) -> None:
    told: list[tuple[int, int]] = []
    rendered(plugin, Request("a", **SMALL), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]


def test_a_kept_prompt_changes_no_bit(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A8: cross-attention's keys and values are projected once an image."""
    from reference_engine.render import engine

    model = plugin._load_locked()
    projections: list[int] = []
    layer = next(module for name, module in model.unet.named_modules() if name.endswith("attn2.to_k"))
    hook = layer.register_forward_hook(lambda *_: projections.append(1))
    prepared = plugin.pipeline.run(Request("a lighthouse", "fog", **SMALL))
    with torch.inference_mode():
        kept = plugin._engine()._denoise(prepared, model.unet, lambda: False)
        assert len(projections) == 1
        monkeypatch.setattr(engine, "prompt_kept", lambda unet: nullcontext())
        plain = plugin._engine()._denoise(
            plugin.pipeline.run(Request("a lighthouse", "fog", **SMALL)), model.unet, lambda: False
        )
    hook.remove()
    assert len(projections) == 6
    assert torch.equal(kept, plain)


def test_a_kept_prompt_is_of_one_run_and_one_context(plugin: Plugin) -> None:
    unet = plugin._load_locked().unet
    seen = torch.zeros(1, 4, 8, 8)
    one, other = (torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(n)) for n in (1, 2))

    def call(context: Any) -> Any:
        return unet(seen, 500, encoder_hidden_states=context, return_dict=False)[0]

    with torch.inference_mode():
        plain = call(one), call(other)
        with prompt_kept(unet):
            assert torch.equal(call(one), plain[0])
            assert torch.equal(call(other), plain[1])
            assert torch.equal(call(one), plain[0])
        assert torch.equal(call(other), plain[1])


@pytest.mark.parametrize("guided", [True, False])
def test_the_first_self_attention_sees_each_picture_once(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, guided: bool
) -> None:
    """A8: with guidance both halves of the batch are one picture until the prompt comes in."""
    from reference_engine.render import attention, engine

    rows: list[int] = []
    whole = attention._attended
    monkeypatch.setattr(attention, "_attended", lambda *parts: (rows.append(len(parts[0])), whole(*parts))[1])
    unet = plugin._load_locked().unet
    request = Request("a lighthouse", "fog", cfg_scale=7.5 if guided else 1.0, num_images=2, **SMALL)

    def denoised() -> Any:
        return plugin._engine()._denoise(plugin.pipeline.run(request), unet, lambda: False)

    with torch.inference_mode():
        once = denoised()
        assert rows[0] == 2
        monkeypatch.setattr(engine, "prompt_kept", lambda unet: nullcontext())
        assert torch.equal(once, denoised())


def test_halves_that_differ_are_each_seen(plugin: Plugin) -> None:
    unet = plugin._load_locked().unet
    chance = torch.Generator().manual_seed(1)
    seen, text = torch.randn(2, 4, 8, 8, generator=chance), torch.randn(2, 77, 768, generator=chance)
    with torch.inference_mode():
        plain = unet(seen, 500, encoder_hidden_states=text, return_dict=False)[0]
        with prompt_kept(unet):
            assert torch.equal(unet(seen, 500, encoder_hidden_states=text, return_dict=False)[0], plain)


# An initial image


def picture(width: int = 64, height: int = 64) -> Any:
    across = np.linspace(40, 210, width)[None, :, None]
    down = np.linspace(0.5, 1.0, height)[:, None, None]
    return Image.fromarray((across * down * np.array([1.0, 0.7, 0.4])).astype(np.uint8))


def test_an_initial_image_becomes_the_vae_s_latents(plugin: Plugin) -> None:
    """A6"""
    prepared = plugin.pipeline.run(Request("a", init_image=picture(), **SMALL))
    vae = plugin._load_locked().vae
    with torch.inference_mode():
        expected = vae.encode(autoencoder.to_pixels(picture()))[0].mode() * vae.config.scaling_factor
    assert torch.equal(prepared.clean, expected)
    assert prepared.clean.shape == prepared.latents.shape == (1, 4, 8, 8)


def test_the_less_strength_the_nearer_the_image_stays(plugin: Plugin) -> None:
    """A6, B5"""

    def latents(strength: float) -> Any:
        request = Request("a", init_image=picture(), strength=strength, **{**SMALL, "steps": 20})
        prepared = plugin.pipeline.run(request)
        with torch.inference_mode():
            made = plugin._engine()._denoise(prepared, plugin._load_locked().unet, lambda: False)
        return float((made - prepared.clean).abs().mean())

    near, middle, far = latents(0.05), latents(0.4), latents(0.9)
    assert near < middle < far


def test_strength_is_the_share_of_the_steps_that_are_made(plugin: Plugin) -> None:
    told: list[int] = []
    request = Request("a", init_image=picture(), strength=0.4, **{**SMALL, "steps": 10})
    rendered(plugin, request, progress=lambda done, total: told.append(total))
    assert told == [4] * 4


def test_at_full_strength_nothing_of_the_image_is_left(plugin: Plugin) -> None:
    whole = rendered(plugin, Request("a", init_image=picture(), strength=1.0, **SMALL))[0][0]
    plain = rendered(plugin, Request("a", **SMALL))[0][0]
    assert whole.tobytes() == plain.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_an_initial_image_of_another_mode_or_size_is_turned_into_what_is_needed(
    plugin: Plugin, mode: str
) -> None:
    image = picture(90, 70).convert(mode)
    assert rendered(plugin, Request("a", init_image=image, **SMALL))[0][0].size == (64, 64)


def test_a_batch_can_start_from_one_image(plugin: Plugin) -> None:
    images = rendered(plugin, Request("a", init_image=picture(), num_images=2, strength=0.5, **SMALL))[0]
    alone = rendered(plugin, Request("a", init_image=picture(), strength=0.5, **{**SMALL, "seed": 2}))[0][0]
    assert np.abs(pixels(images[1]) - pixels(alone)).max() <= 1


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"strength": 0.0}, "above 0"),
        ({"strength": 1.5}, "from 0 to 1"),
        ({"strength": "half"}, "from 0 to 1"),
        ({"num_images": 0}, "1 to 8"),
        ({"num_images": 9}, "1 to 8"),
        ({"init_image": "cat.png"}, "PIL image"),
    ],
)
def test_wrong_parameters_of_a_start_are_named(plugin: Plugin, bad: dict[str, Any], told: str) -> None:
    """A7"""
    with pytest.raises(InvalidParameter, match=told):
        plugin.pipeline.run(Request("a", **{**SMALL, **bad}))
