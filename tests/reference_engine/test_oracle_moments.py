"""B3: samplers that draw noise are judged by what they draw, and by the law of what comes out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reference_engine import oracle, samplers
from tests.reference_engine.made_samplers import SD, TRAILING, next_one, ours, wrongly

STOCHASTIC = [("Euler a", {}), ("DDIM", {"eta": 1.0}), ("DDIM", {"eta": 0.4, **TRAILING})]


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(("name", "parameters"), STOCHASTIC)
def test_stochastic_samplers_have_the_moments_of_their_reference(
    name: str, parameters: dict[str, Any], kind: str
) -> None:
    config = {**SD, "prediction_type": kind}
    for steps in (10, 28):
        result = oracle.assess_moments(
            ours(name, parameters, prediction_type=kind),
            name,
            parameters=parameters,
            scheduler_config=config,
            steps=steps,
        )
        assert result.problems() == ()


def test_at_few_steps_the_reference_and_not_the_data_is_the_yardstick() -> None:
    deviations = [
        oracle.assess_moments(ours("Euler a"), "Euler a", steps=steps).expected.deviation
        for steps in (10, 28, 50)
    ]
    assert deviations == pytest.approx([0.79, 0.91, 0.94], abs=0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_stochastic_samplers_of_diffusers_pass() -> None:
    import diffusers

    taken = {key: value for key, value in SD.items() if key != "set_alpha_to_one"}
    euler = diffusers.EulerAncestralDiscreteScheduler.from_config(taken)
    ddim = diffusers.DDIMScheduler.from_config({**SD, "clip_sample": False})
    assert oracle.assess_moments(oracle.run_of_diffusers(euler), "Euler a").problems() == ()
    run = oracle.run_of_diffusers(ddim, eta=1.0)
    assert oracle.assess_moments(run, "DDIM", parameters={"eta": 1.0}).problems() == ()


@oracle.on_tensors
def same_noise_again(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
    schedule = samplers.build("Euler a", {}, SD).schedule(steps)
    latents = schedule.initial(noise)
    for index, timestep in enumerate(schedule.timesteps):
        generator = torch.Generator().manual_seed(seed)
        latents = schedule.step(network(latents, timestep), index, latents, generator)
    return latents


def seed_ignored(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
    return ours("Euler a")(network, noise, steps, 9)


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (seed_ignored, "Another seed gives the same latents"),
        (same_noise_again, "drawn once and used at two steps"),
        (ours("DDIM", {"eta": 0.9}), "The size of the drawn noise is not"),
        (ours("Euler", {"timestep_spacing": "leading"}), "Another seed gives the same latents"),
        (wrongly("DDIM", parameters={"eta": 1.0}, answer=lambda output: 1.001 * output), "coefficients"),
        (wrongly("DDIM", parameters={"eta": 1.0}, told=next_one), "Its timestep for the network is off by"),
        (wrongly("DDIM", parameters={"eta": 1.0}, prediction_type="v_prediction"), "coefficients"),
        (ours("DDIM", {"eta": 1.0, **TRAILING}), "Its timestep for the network is off by"),
    ],
)
def test_a_wrong_stochastic_sampler_is_caught(run: oracle.Run, says: str) -> None:
    name, parameters = ("DDIM", {"eta": 1.0})
    if run in (same_noise_again, seed_ignored):
        name, parameters = "Euler a", {}
    problems = oracle.assess_moments(run, name, parameters=parameters).problems()
    assert any(says in problem for problem in problems), problems


def test_a_sampler_of_its_own_kind_is_held_to_the_data_and_to_euler_ancestral() -> None:
    """At 28 steps a share of 0.5 fresh noise comes nearer to the data than Euler ancestral does."""
    assert oracle.assess_moments(ours("DDIM", {"eta": 0.5})).problems() == ()
    narrow = wrongly("DDIM", parameters={"eta": 1.0}, answer=lambda output: 1.1 * output)
    (told,) = oracle.assess_moments(narrow).problems()
    assert "standard deviation" in told and "Euler a gives 0.9" in told
