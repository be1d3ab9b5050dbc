"""B3: noise schedules that end in pure noise (Lin et al. 2023), where sigma / alpha is infinite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reference_engine import ModelNotLoaded, oracle, samplers
from reference_engine.oracle.network import observe
from reference_engine.samplers.noise import NoiseSchedule

ZERO_SNR = {
    **oracle.SD_SCHEDULE,
    "rescale_betas_zero_snr": True,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}
PARAMETERS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in samplers.SAMPLERS),
    ("DDIM", {"eta": 0.5}),
    ("Euler a", {"use_karras_sigmas": True}),
    ("UniPC Karras", {"solver_order": 3}),
    *((name, {"use_karras_sigmas": True}) for name in ("Euler", "LMS", "Heun")),
]


@pytest.mark.parametrize("kind", ["v_prediction", "sample"])
@pytest.mark.parametrize(("name", "parameters"), PARAMETERS)
def test_every_sampler_begins_in_pure_noise_as_its_reference_does(
    name: str, parameters: dict[str, Any], kind: str
) -> None:
    config = {**ZERO_SNR, "prediction_type": kind}
    sampler = samplers.build(name, parameters, config)
    first = sampler.levels(28)[0]
    assert (first.timestep, first.alpha, first.sigma) == (999, 0.0, 1.0)
    run = oracle.run_of_sampler(sampler)
    assess: Any = oracle.assess_moments if oracle.is_stochastic(name, parameters) else oracle.assess
    assert assess(run, name, parameters=parameters, scheduler_config=config).problems() == ()


# What each does where the rescaling is overlooked: another first level, fewer noise, a call too many.
OVERLOOKED = {
    "DDIM": "Its latents differ from DDIM by 0.061 on the Gaussian law at 28 steps",
    "PNDM": "Its timestep for the network is off by 35 on the Gaussian law at 28 steps",
    "Euler": "first at call 0: check how the first latents are scaled",
    "Euler a": "Its first latents are off by 0.0085; check how the noise is scaled",
    "DPM++ 2M Karras": "Its timestep for the network is off by 276 on the Gaussian law at 28 steps",
    "UniPC Karras": "Its timestep for the network is off by 276 on the Gaussian law at 28 steps",
    "LMS": "first at call 0: check how the first latents are scaled",
    "Heun": "It calls the network 55 times on the Gaussian law at 28 steps; Heun 54 times.",
}


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_one_that_overlooks_the_pure_noise_is_caught(name: str) -> None:
    blind = {**ZERO_SNR, "rescale_betas_zero_snr": False}
    run = oracle.run_of_sampler(samplers.build(name, {}, blind))
    assess: Any = oracle.assess_moments if oracle.is_stochastic(name) else oracle.assess
    assert OVERLOOKED[name] in assess(run, name, scheduler_config=ZERO_SNR).problems()[0]


def test_25_steps_are_those_of_diffusers() -> None:
    """25 divides 1000, so that its trailing DDIM is right."""
    from diffusers import DDIMScheduler

    kind: Any = DDIMScheduler
    theirs = oracle.run_of_diffusers(kind(**ZERO_SNR, clip_sample=False))
    ours = oracle.run_of_sampler(samplers.build("DDIM", {}, ZERO_SNR))
    network = oracle.Network(oracle.Mixture(), ZERO_SNR)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3)).numpy()
    one, other = (observe(run, network, noise, 25, 0) for run in (ours, theirs))
    assert one.timesteps == other.timesteps
    for here, there in zip((*one.inputs, one.output), (*other.inputs, other.output), strict=True):
        assert np.abs(here - there).max() < 2e-5  # its noise levels are in float32


def test_the_noise_levels_are_those_of_diffusers() -> None:
    from diffusers import DDIMScheduler

    kind: Any = DDIMScheduler
    kept = kind(**ZERO_SNR).alphas_cumprod.double().numpy()
    noise = NoiseSchedule.from_config(ZERO_SNR)
    ours = np.array([noise.level(time).alpha ** 2 for time in range(1000)])
    assert ours[-1] == 0.0
    assert np.abs(ours - kept).max() < 1e-6
    assert ours[0] == pytest.approx(1 - ZERO_SNR["beta_start"])


def test_betas_that_are_listed_may_end_in_pure_noise_too() -> None:
    noise = NoiseSchedule.from_config({"trained_betas": [0.1, 0.5, 1.0], "prediction_type": "v_prediction"})
    assert noise.zero_snr
    with pytest.raises(ModelNotLoaded, match="before its last timestep"):
        NoiseSchedule.from_config({"trained_betas": [0.1, 1.0, 0.5], "prediction_type": "v_prediction"})


def test_a_noise_prediction_in_pure_noise_is_refused() -> None:
    with pytest.raises(ModelNotLoaded, match="has no information about an image") as refused:
        samplers.build("DDIM", {}, {**ZERO_SNR, "prediction_type": "epsilon"})
    assert "v_prediction" in refused.value.remedies[0]


@pytest.mark.parametrize("name", samplers.SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing", None])
def test_runs_of_any_length_are_finite(name: str, steps: int, spacing: str | None) -> None:
    config = {key: value for key, value in ZERO_SNR.items() if key != "timestep_spacing"}
    config |= {"timestep_spacing": spacing} if spacing else {}
    run = oracle.run_of_sampler(samplers.build(name, {}, config))
    network = oracle.Network(oracle.Mixture(), config)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(1)).numpy()
    made = observe(run, network, noise, steps, 0)
    assert np.isfinite(made.output).all()
    assert all(np.isfinite(seen).all() for seen in made.inputs)
    if spacing in (None, "trailing"):
        assert made.timesteps[0] == 999


def test_an_initial_image_is_noised_as_usual() -> None:
    sampler = samplers.build("DPM++ 2M Karras", {}, ZERO_SNR)
    assert sampler.levels(20, 0.5)[0].alpha > 0
    schedule = sampler.schedule(20, 1.0)
    clean, noise = torch.ones(1, 4, 8, 8), torch.full((1, 4, 8, 8), 0.5)
    assert torch.equal(schedule.noised(clean, noise), noise)
