"""The render engine against plain diffusers: milliseconds a step, and a batch against single images.

    python -m benchmarks.engine

Both run the same weights, sampler and noise on one CPU thread, in turns; what counts is the ratio of CPU
seconds in the same run, and whether the latents are equal bit for bit. The UNet has a third of the real one's
widths and all of its levels; its weights are random.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STEPS = 8
SIDES = (128, 256)
ROUNDS = 5
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}


def middle_unet() -> Any:
    """81.5 million parameters, four levels, text of width 768."""
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    unet: Any = UNet2DConditionModel(
        block_out_channels=(96, 192, 384, 384), layers_per_block=1, cross_attention_dim=768
    )
    return unet.eval().requires_grad_(False)


def plain(unet: Any, request: Any, schedule: Any = None) -> Any:
    """What diffusers' own pipeline does between text encoder and decoder; with our sampler's `schedule` where
    one is given.
    """
    import torch
    from diffusers import DDIMScheduler

    kind: Any = DDIMScheduler
    scheduler = kind.from_config(SCHEDULER)
    scheduler.set_timesteps(request.steps)
    latents = request.latents * scheduler.init_noise_sigma
    texts = [request.negative_embeddings] * len(latents) + [request.embeddings] * len(latents)
    context = torch.cat(texts)
    for index, moment in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(torch.cat([latents] * 2), moment)
        guess = unet(seen, moment, encoder_hidden_states=context, return_dict=False)[0]
        without, with_prompt = guess.chunk(2)
        guess = without + request.cfg_scale * (with_prompt - without)
        if schedule is None:
            latents = scheduler.step(guess, moment, latents, return_dict=False)[0]
        else:
            latents = schedule.step(guess, index, latents)
    return latents


def in_turns(arms: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median CPU seconds of each arm; the order changes from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        for name in sorted(arms, reverse=bool(number % 2)):
            started = time.process_time()
            arms[name]()
            seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def request_of(side: int, images: int, seed: int = 1) -> Any:
    import torch

    from reference_engine.preprocess import InitialLatents, Request

    words = torch.Generator().manual_seed(9)
    texts = [torch.randn(1, 77, 768, generator=words) for _ in range(2)]
    request = Request(
        "benchmark",
        steps=STEPS,
        seed=seed,
        width=side,
        height=side,
        num_images=images,
        embeddings=texts[0],
        negative_embeddings=texts[1],
    )
    return InitialLatents()(request)


def main() -> None:
    import torch
    from diffusers.models.attention_processor import AttnProcessor2_0

    from reference_engine import samplers
    from reference_engine.config import SamplerConfig
    from reference_engine.render.engine import RenderEngine

    torch.set_num_threads(1)
    theirs = middle_unet()
    ours = middle_unet()
    model: Any = SimpleNamespace(unet=ours, scheduler_config=SCHEDULER)
    engine = RenderEngine(model, SamplerConfig("DDIM"))

    def render(side: int, images: int, seed: int = 1) -> Any:
        return engine._denoise(request_of(side, images, seed), ours, lambda: False)

    print(
        f"torch {torch.__version__}, 1 thread, DDIM, {STEPS} steps, guidance; load {os.getloadavg()[0]:.1f}"
    )
    with torch.inference_mode():
        for side in SIDES:
            one = request_of(side, 1)
            made, schedule = render(side, 1), samplers.build("DDIM", {}, SCHEDULER).schedule(STEPS)
            equal = torch.equal(made, plain(theirs, one, schedule))
            apart = float((made - plain(theirs, one)).abs().max() / made.abs().max())
            plain_still = all(type(layer) is AttnProcessor2_0 for layer in theirs.attn_processors.values())
            assert plain_still, "the peer must be plain diffusers"
            arms: dict[str, Callable[[], Any]] = {
                "ours": lambda side=side: render(side, 1),  # type: ignore[misc]
                "diffusers": lambda one=one: plain(theirs, one),  # type: ignore[misc]
            }
            found = in_turns(arms, ROUNDS)
            each = {name: 1000 * value / STEPS for name, value in found.items()}
            print(
                f"{side} px: ours {each['ours']:.1f} ms a step, diffusers {each['diffusers']:.1f} ms, "
                f"ratio {each['ours'] / each['diffusers']:.3f} (goal 0.97), "
                f"latents {'equal bit for bit' if equal else 'NOT equal'} with the same sampler, "
                f"{apart:.0e} from diffusers' own scheduler"
            )
        singles = {
            "batch": lambda: render(128, 4),
            "singles": lambda: [render(128, 1, 1 + number) for number in range(4)],
        }
        batch, alone = render(128, 4), torch.cat([render(128, 1, 1 + number) for number in range(4)])
        found = in_turns(singles, 3)
        print(
            f"4 images of 128 px: one batch / four single runs {found['batch'] / found['singles']:.3f} CPU "
            f"(goal 0.75), latents differ by {float((batch - alone).abs().max()):.1e}"
        )
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
