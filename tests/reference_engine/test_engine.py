from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from reference_engine import SDK, ImageResult, OutOfMemory
from reference_engine.models.tiny import tiny_model
from reference_engine.plugin import Plugin
from reference_engine.preprocess import Request
from reference_engine.render import memory
from reference_engine.render.calibration import CUDA

SMALL: dict[str, Any] = {"steps": 5, "width": 64, "height": 64, "seed": 1}


def pixels(result: ImageResult) -> Any:
    return np.asarray(result.image).astype(int)


def test_the_same_seed_gives_the_same_image_and_another_seed_another(make: Any) -> None:
    first, again, other = make(seed=7), make(seed=7), make(seed=8)
    assert first.png() == again.png()
    assert np.abs(pixels(first) - pixels(other)).mean() > 10


@pytest.mark.parametrize("model_type", ["v1.5", "v2.0"])
def test_every_parameter_has_an_effect(make: Any, model_type: str) -> None:
    on = SDK.create_plugin({"device": "cpu", "model_type": model_type})
    plain = pixels(make("a cat", on=on))
    assert 25 < plain.std() < 75
    for change in (
        {"prompt": "a castle in the snow"},
        {"prompt": "一只猫"},
        {"negative_prompt": "blurry"},
        {"steps": 9},
        {"cfg_scale": 3.0},
    ):
        changed = pixels(make(**{"prompt": "a cat", **change}, on=on))
        assert np.abs(plain - changed).mean() > 3, change


def test_without_a_seed_one_is_drawn_and_told(make: Any) -> None:
    first, other = make(seed=None), make(seed=None)
    assert first.seed != other.seed
    assert make(seed=first.seed).image.tobytes() == first.image.tobytes()


@pytest.mark.parametrize(("width", "height"), [(64, 72), (200, 128)])
def test_the_size_asked_for_is_the_size_delivered(make: Any, width: int, height: int) -> None:
    result = make(width=width, height=height)
    assert result.image.size == (result.width, result.height) == (width, height)


@pytest.mark.parametrize(("model_type", "side"), [("v1.5", 512), ("v2.0", 768)])
def test_without_a_size_the_model_is_used_at_its_native_one(model_type: str, side: int) -> None:
    """D1, D2"""
    plugin, seen = SDK.create_plugin({"model_type": model_type, "device": "cpu"}), []

    class Enough(Exception):
        pass

    def stop(request: Any) -> Any:
        seen.append((request.width, request.height, request.steps, request.cfg_scale))
        raise Enough

    stop.name = "stop"  # type: ignore[attr-defined]
    plugin.pipeline.insert(stop, before="parameters")  # type: ignore[arg-type]
    with pytest.raises(Enough):
        asyncio.run(plugin.generate_image("a lake"))
    assert seen == [(side, side, 28, 7.5)]


@pytest.mark.parametrize("model_type", ["v1.5", "v2.0"])
@pytest.mark.parametrize("algorithm", ["DDIM", "Euler"])
def test_the_latents_are_those_of_a_plain_diffusers_pipeline(model_type: str, algorithm: str) -> None:
    """A8, B3"""
    import diffusers
    import torch

    plugin = SDK.create_plugin(
        {"device": "cpu", "model_type": model_type, "sampler_config": {"algorithm": algorithm}}
    )
    model = plugin._load_locked()
    scheduler = {"DDIM": diffusers.DDIMScheduler, "Euler": diffusers.EulerDiscreteScheduler}[algorithm]
    pipeline: Any = diffusers.StableDiffusionPipeline(
        vae=model.vae,
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        unet=model.unet,
        scheduler=scheduler.from_config(dict(model.scheduler_config)),
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "a lighthouse",
        negative_prompt="fog",
        num_inference_steps=5,
        width=64,
        height=64,
        generator=torch.Generator("cpu").manual_seed(3),
        output_type="latent",
    ).images
    prepared = plugin.pipeline.run(Request("a lighthouse", "fog", 5, 7.5, 3, 64, 64))
    with torch.inference_mode():
        ours = plugin._engine()._denoise(prepared, model.unet, lambda: False)
    assert float((ours - theirs).abs().max()) <= 1e-4 * float(theirs.abs().max())


def test_ddim_with_eta_is_noisy_but_repeatable(make: Any) -> None:
    """B3"""
    noisy = SDK.create_plugin({"device": "cpu", "sampler_config": {"algorithm": "DDIM", "eta": 1.0}})
    assert make(on=noisy).image.tobytes() == make(on=noisy).image.tobytes() != make().image.tobytes()


def test_a_long_prompt_tells_what_was_kept_and_what_was_lost(make: Any) -> None:
    prompt = " ".join(f"word{number}" for number in range(60))
    result = make(prompt)
    assert result.truncated
    assert result.kept + result.lost == prompt
    assert result.lost.strip() in result.warnings[0]
    assert make(result.kept).image.tobytes() == result.image.tobytes()


def test_a_prompt_is_never_cut_inside_a_visible_character(make: Any) -> None:
    family = "👨‍👩‍👧‍👦"
    result = make(family * 30)
    assert result.truncated
    assert result.kept + result.lost == family * 30
    assert len(result.kept) % len(family) == 0


def test_a_short_prompt_is_kept_whole(make: Any) -> None:
    result = make("一只猫在雪里", steps=15)  # 15 are advised, so that nothing else is warned of
    assert (result.truncated, result.kept, result.lost, result.warnings) == (False, "一只猫在雪里", "", ())


def test_the_event_loop_runs_on_while_an_image_is_made(plugin: Plugin) -> None:
    """B5"""

    async def both() -> int:
        beats, task = 0, asyncio.ensure_future(plugin.generate_image("a lake", **{**SMALL, "steps": 20}))
        while not task.done():
            await asyncio.sleep(0.005)
            beats += 1
        await task
        return beats

    assert asyncio.run(both()) > 3


def test_concurrent_calls_give_what_serial_calls_give(plugin: Plugin, make: Any) -> None:
    """A9; Euler keeps state in its scheduler, so a shared one would show."""
    on = SDK.create_plugin({"device": "cpu", "sampler_config": {"algorithm": "Euler"}})

    async def all_at_once() -> list[bytes]:
        calls = (on.generate_image(f"cat {seed}", **{**SMALL, "seed": seed}) for seed in range(4))
        return [result.image.tobytes() for result in await asyncio.gather(*calls)]

    assert asyncio.run(all_at_once()) == [
        make(f"cat {seed}", seed=seed, on=on).image.tobytes() for seed in range(4)
    ]


def test_a_cancelled_call_stops_early_and_the_plugin_goes_on(plugin: Plugin, make: Any) -> None:
    expected = make().image.tobytes()

    async def cancel() -> float:
        task = asyncio.ensure_future(plugin.generate_image("a lake", steps=50, width=512, height=512, seed=1))
        await asyncio.sleep(0.3)
        task.cancel()
        started = time.perf_counter()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(plugin._lock.acquire)
        plugin._lock.release()
        return time.perf_counter() - started

    assert asyncio.run(cancel()) < 3  # the whole run takes longer
    assert make().image.tobytes() == expected


def test_plugins_on_one_model_share_its_weights() -> None:
    one, two = SDK.create_plugin({"device": "cpu"}), SDK.create_plugin({"device": "cpu"})
    assert one._load_locked().unet is two._load_locked().unet


def test_more_memory_than_the_limit_is_refused_before_anything_loads(make: Any) -> None:
    """B4, B6, B7"""
    tight = SDK.create_plugin({"device": "cpu", "memory_limit": "100MB"})
    with pytest.raises(OutOfMemory, match="memory_limit, 100 MB") as caught:
        make(on=tight)
    assert tight._model is None
    assert caught.value.code == "ERR_OUT_OF_MEMORY"
    assert [
        word for remedy in caught.value.remedies for word in ("tiles", "3GB", "medvram") if word in remedy
    ] == [
        "tiles",
        "3GB",
        "medvram",
    ]


def test_an_allocation_that_the_machine_refuses_is_told_and_the_plugin_goes_on(
    monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    """B6"""
    on = SDK.create_plugin({"device": "cpu"})
    expected = make(on=on).image.tobytes()
    import torch

    def greedy(image: Any) -> Any:
        torch.empty(2**48)
        return image

    on.postprocess.append(greedy)
    with pytest.raises(OutOfMemory, match="no memory left") as caught:
        make(on=on)
    assert caught.value.__context__ is None  # which would keep the failed run's tensors alive
    on.postprocess.clear()
    assert make(on=on).image.tobytes() == expected


def test_the_estimate_grows_with_pixels_and_not_with_steps() -> None:
    """D5"""
    model = tiny_model("v1.5")
    small, large = (memory.estimate(model, side, side, cuda=True) for side in (512, 1024))
    grown = [one.activations - CUDA.base for one in (small, large)]
    assert grown[1] == pytest.approx(4 * grown[0], rel=0.03)
    assert large.weights == small.weights
    assert memory.estimate(model, 512, 512, cuda=True, medvram=True).weights < small.weights


def test_the_estimate_bounds_what_a_real_run_takes() -> None:
    """B4"""
    pytest.importorskip("resource", reason="peaks are read from getrusage")

    code = (
        "import asyncio, resource\n"
        "from reference_engine import SDK\n"
        "plugin = SDK.create_plugin({'device': 'cpu'})\n"
        "go = lambda side: asyncio.run(plugin.generate_image('a', '', 5, width=side, height=side))\n"
        "go(64); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "go(512); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(answer.stdout) * unit <= memory.estimate(tiny_model("v1.5"), 512, 512).activations


def test_the_threads_asked_for_are_used(plugin: Plugin, make: Any) -> None:
    import torch

    make()
    assert torch.get_num_threads() == plugin.config.threads == 1
    assert threading.active_count() < 50
