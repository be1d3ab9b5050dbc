"""B3: the samplers as a user names and sets them, and step by step beside diffusers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_engine import ConfigError, ModelNotLoaded, PluginConfig, oracle, samplers
from reference_engine.samplers.noise import NoiseSchedule

SD = oracle.SD_SCHEDULE
CERTIFIED = ("DDIM", "PNDM", "Euler", "Euler a", "DPM++ 2M Karras", "UniPC Karras")
EVERY = tuple(samplers.SAMPLERS)
NOISE = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0))


def run(
    name: str, steps: int = 28, latents: Any = None, seed: int = 0, strength: float = 1.0, **parameters: Any
) -> Any:
    schedule = samplers.build(name, parameters, SD).schedule(steps, strength)
    generator = torch.Generator().manual_seed(seed)
    latents = schedule.initial(NOISE) if latents is None else schedule.noised(latents, NOISE)
    network = oracle.Network(oracle.Mixture())
    for index, timestep in enumerate(schedule.timesteps):
        output = network(schedule.network_input(latents, index), timestep)
        latents = schedule.step(output, index, latents, generator)
    return latents


def test_there_are_six_certified_samplers_and_two_extras() -> None:
    """B3"""
    assert tuple(name for name, one in samplers.SAMPLERS.items() if one.certified) == CERTIFIED
    assert set(EVERY) - set(CERTIFIED) == {"LMS", "Heun"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ddim", "DDIM"),
        ("plms", "PNDM"),
        ("euler_a", "Euler a"),
        ("Euler Ancestral", "Euler a"),
        ("EulerAncestralDiscreteScheduler", "Euler a"),
        ("dpm++ 2m karras", "DPM++ 2M Karras"),
        ("DPMPP_2M", "DPM++ 2M Karras"),
        ("unipc", "UniPC Karras"),
        ("heun", "Heun"),
    ],
)
def test_a_sampler_is_known_in_any_spelling(written: str, meant: str) -> None:
    assert PluginConfig.parse({"sampler_config": {"algorithm": written}}).sampler.algorithm == meant
    assert samplers.build(written, {}, SD).name == meant


@pytest.mark.parametrize(("written", "near"), [("Eular", "Euler"), ("DPM+ 2M Karas", "DPM++ 2M Karras")])
def test_an_unknown_sampler_is_refused_with_the_nearest_name(written: str, near: str) -> None:
    with pytest.raises(ConfigError, match="is not a sampler") as caught:
        samplers.build(written, {}, SD)
    assert f'Did you mean "{near}"?' in caught.value.message


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"algorithm": "Euler", "eta": 0.5}, "sampler_config.eta: Euler takes algorithm, use_karras_sigmas"),
        ({"algorithm": "DDIM", "eta": 2}, "sampler_config.eta: must be a number from 0 to 1"),
        ({"algorithm": "DDIM", "timestep_spacing": "trailin"}, "must be one of leading, linspace, trailing"),
        ({"algorithm": "UniPC", "solver_order": 4}, "must be a whole number from 1 to 3"),
        ({"algorithm": "LMS", "order": True}, "must be a whole number from 1 to 4"),
        ({"algorithm": "Heun", "use_karras_sigmas": 1}, "must be true or false"),
        ({"algorithm": "unipc", "solver_orde": 2}, 'Did you mean "solver_order"?'),
        ({"algorithm": 7}, "7 is not a sampler"),
    ],
)
def test_a_wrong_parameter_is_named(table: dict[str, Any], says: str) -> None:
    (mistake,) = samplers.sampler_mistakes(table)
    assert says in mistake


@pytest.mark.parametrize(("key", "value"), [("beta_schedule", "sigmoid"), ("prediction_type", "flow")])
def test_an_unknown_noise_schedule_of_a_model_is_refused(key: str, value: str) -> None:
    with pytest.raises(ModelNotLoaded, match=f"{key} '{value}', which is unknown"):
        samplers.build("DDIM", {}, {**SD, key: value})


def test_betas_may_be_listed() -> None:
    listed = [0.001 + 0.00002 * index for index in range(1000)]
    linear = {"beta_schedule": "linear", "beta_start": 0.001, "beta_end": listed[-1]}
    one, other = (NoiseSchedule.from_config(config) for config in ({"trained_betas": listed}, linear))
    assert one.log_ratios == pytest.approx(other.log_ratios, abs=1e-9)


@given(st.floats(0.0, 999.0))
def test_a_timestep_and_its_noise_are_each_others_inverse(timestep: float) -> None:
    noise = NoiseSchedule.from_config(SD)
    assert noise.timestep(noise.ratio(timestep)) == pytest.approx(timestep, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(EVERY),
    st.integers(1, 60),
    st.floats(0.0, 1.0),
    st.sampled_from(["leading", "linspace", "trailing"]),
)
def test_every_run_goes_down_in_noise_and_ends_finite(
    name: str, steps: int, strength: float, spacing: str
) -> None:
    takes = samplers.SAMPLERS[name].parameters
    parameters: dict[str, Any] = {"timestep_spacing": spacing} if "timestep_spacing" in takes else {}
    sampler = samplers.build(name, parameters, SD)
    sigmas = [level.sigma for level in sampler.levels(steps, strength)]
    assert sigmas == sorted(set(sigmas), reverse=True)
    assert len(sigmas) - 1 <= steps
    if steps <= 12:
        out = run(name, steps, torch.zeros_like(NOISE), strength=strength, **parameters)
        assert bool(out.isfinite().all()) and float(out.abs().max()) < 10


@pytest.mark.parametrize(("name", "calls"), [("DDIM", 28), ("PNDM", 29), ("Heun", 55), ("UniPC Karras", 28)])
def test_calls_of_28_steps(name: str, calls: int) -> None:
    assert len(samplers.build(name, {}, SD).schedule(28).timesteps) == calls


def diffusers_scheduler(name: str, **parameters: Any) -> Any:
    import diffusers

    kind, fixed = {
        "DDIM": (diffusers.DDIMScheduler, {"clip_sample": False}),
        "PNDM": (diffusers.PNDMScheduler, {"skip_prk_steps": True}),
        "Euler": (diffusers.EulerDiscreteScheduler, {}),
        "Euler a": (diffusers.EulerAncestralDiscreteScheduler, {}),
        "DPM++ 2M Karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
        "UniPC Karras": (diffusers.UniPCMultistepScheduler, {"use_karras_sigmas": True}),
        "Heun": (diffusers.HeunDiscreteScheduler, {}),
    }[name]
    taken = {key: value for key, value in SD.items() if key != "set_alpha_to_one" or name in ("DDIM", "PNDM")}
    return kind.from_config({**taken, **fixed, **parameters})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "parameters", "prediction_type"),
    [
        ("PNDM", {}, "epsilon"),  # of v predictions diffusers makes something else: see test_oracle
        *(
            (name, parameters, prediction_type)
            for prediction_type in ("epsilon", "v_prediction")
            for name, parameters in (
                ("DDIM", {}),
                ("DDIM", {"eta": 1.0}),
                ("Euler", {}),
                ("Euler", {"timestep_spacing": "leading"}),
                ("Euler", {"timestep_spacing": "trailing"}),
                ("Euler", {"use_karras_sigmas": True}),
                ("Euler a", {}),
                ("Heun", {"use_karras_sigmas": True}),
            )
        ),
    ],
)
def test_28_steps_agree_with_diffusers_where_diffusers_is_right(
    name: str, parameters: dict[str, Any], prediction_type: str
) -> None:
    """From the same noise and seed; fresh noise is drawn in the same order."""
    config = {**SD, "prediction_type": prediction_type}
    step = {"eta": parameters["eta"]} if "eta" in parameters else {}
    spaced = {key: value for key, value in parameters.items() if key != "eta"}
    theirs = oracle.run_of_diffusers(
        diffusers_scheduler(name, prediction_type=prediction_type, **spaced), **step
    )
    ours = oracle.run_of_sampler(samplers.build(name, parameters, config))
    outputs = [one(oracle.Network(oracle.Mixture(), config), NOISE, 28, 5) for one in (ours, theirs)]
    assert float((outputs[0] - outputs[1]).abs().max()) < 1e-4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("DPM++ 2M Karras", {}), ("UniPC Karras", {}), ("UniPC Karras", {"solver_order": 3})],
)
def test_the_karras_solvers_are_those_of_diffusers_but_for_its_rounded_timesteps(
    name: str, parameters: dict[str, Any]
) -> None:
    """With the network told the noise of the latents, both are the same; as they are, diffusers errs."""
    scheduler = diffusers_scheduler(name, **parameters)
    scheduler.set_timesteps(28)
    noise = NoiseSchedule.from_config(SD)
    exact = [noise.timestep(float(ratio)) for ratio in scheduler.sigmas[:-1]]
    rounded, told = oracle.Network(oracle.Mixture()), oracle.Network(oracle.Mixture())
    as_is, latents = oracle.run_of_diffusers(scheduler)(rounded, NOISE, 28, 0), NOISE
    for index, timestep in enumerate(scheduler.timesteps):
        latents = scheduler.step(told(latents, exact[index]), timestep, latents, return_dict=False)[0]
    ours = run(name, **parameters)
    assert float((ours - latents).abs().max()) < 2e-5
    assert float((ours - as_is).abs().max()) > 2e-4


@pytest.mark.parametrize("name", EVERY)
def test_two_runs_of_one_sampler_share_no_state(name: str) -> None:
    """A9: interleaved, and in four threads."""
    sampler, expected = samplers.build(name, {}, SD), [run(name, 8, seed=seed) for seed in range(4)]

    def again(seed: int) -> Any:
        return oracle.run_of_sampler(sampler)(oracle.Network(oracle.Mixture()), NOISE, 8, seed)

    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(a, b) for a, b in zip(pool.map(again, range(4)), expected, strict=True))


def test_each_image_of_a_batch_has_its_own_noise() -> None:
    """An image is the same alone and in a batch."""
    sampler, network = samplers.build("Euler a", {}, SD), oracle.Network(oracle.Mixture())
    batch, schedule = torch.cat([NOISE, -NOISE]), sampler.schedule(6)
    latents = schedule.initial(batch)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    for index, timestep in enumerate(schedule.timesteps):
        latents = schedule.step(network(latents, timestep), index, latents, generators)
    assert torch.equal(latents[:1], run("Euler a", 6, seed=1))
    assert not torch.equal(latents[1:], -latents[:1])


@pytest.mark.parametrize("name", EVERY)
def test_strength_begins_that_far_from_the_end(name: str) -> None:
    clean = -torch.sign(NOISE)
    assert torch.equal(run(name, 20, clean, strength=0.0), clean)
    changed = [float((run(name, 20, clean, strength=part).sign() != clean).sum()) for part in (0.1, 0.5, 1.0)]
    assert changed[0] == 0.0 and changed[2] > 20
    sampler = samplers.build(name, {}, SD)
    assert len(sampler.levels(20, 0.75)) == 16
    assert len(sampler.levels(20, 0.001)) == 2


def test_a_strength_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 1"):
        samplers.build("DDIM", {}, SD).schedule(20, 1.5)


@pytest.mark.parametrize("name", EVERY)
def test_memory_does_not_grow_with_steps(name: str) -> None:
    """D5"""
    schedule = samplers.build(name, {}, SD).schedule(50)
    latents = schedule.initial(NOISE)
    for index in range(len(schedule.timesteps)):
        latents = schedule.step(latents, index, latents, torch.Generator().manual_seed(0))
    assert len(schedule._history) <= 5
