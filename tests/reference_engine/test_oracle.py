"""B3: the oracle agrees with what is known, passes right samplers and catches every wrong one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from reference_engine import ConfigError, oracle, samplers
from reference_engine.oracle.assessment import ORDER_SLACK, TOLERANCE

SD = oracle.SD_SCHEDULE
KARRAS = {"use_karras_sigmas": True}
TRAILING = {"timestep_spacing": "trailing"}


def ours(name: str, parameters: dict[str, Any] | None = None, **config: Any) -> oracle.Run:
    return oracle.run_of_sampler(samplers.build(name, parameters or {}, {**SD, **config}))


def theirs(kind: str, **config: Any) -> oracle.Run:
    import diffusers

    return oracle.run_of_diffusers(
        getattr(diffusers, kind).from_config({**SD, "clip_sample": False, **config})
    )


@pytest.mark.parametrize("law", oracle.LAWS, ids=lambda law: law.name)
def test_the_exact_solution_solves_the_sampling_equation(law: oracle.Law) -> None:
    """Against classical Runge-Kutta at 4,000 steps."""
    z = np.random.default_rng(1).normal(0, 14.6, (1, 4, 8, 8))
    exact, found = law.solution(z, 14.6, 0.03), z

    def slope(at: Any, ratio: float) -> Any:
        return (at - law.denoised(at, ratio)) / ratio

    ratios = np.linspace(14.6 ** (1 / 7), 0.03 ** (1 / 7), 4001) ** 7
    for here, there in pairwise(ratios):
        step, middle = there - here, (here + there) / 2
        first = slope(found, here)
        second = slope(found + step / 2 * first, middle)
        third = slope(found + step / 2 * second, middle)
        found = found + step / 6 * (first + 2 * second + 2 * third + slope(found + step * third, there))
    assert np.abs(found - exact).max() < 1e-9


@pytest.mark.parametrize("law", oracle.LAWS, ids=lambda law: law.name)
def test_the_networks_prediction_is_the_mean_of_the_data_given_the_latents(law: oracle.Law) -> None:
    """Tweedie's formula: E[x0 | z] = z + r^2 d/dz log p(z), and p moves with the exact solution."""
    z, ratio, step = np.linspace(-3, 3, 256).reshape(1, 4, 8, 8), 0.7, 1e-5
    moved = (law.solution(z, ratio, ratio + step) - law.solution(z, ratio, ratio - step)) / (2 * step)
    assert law.denoised(z, ratio) == pytest.approx(z - ratio * moved, abs=1e-7)


ORDERS = [
    ("DDIM", {}, (0.93, 0.94)),
    ("PNDM", {}, (1.4, 1.6)),
    ("Euler", {}, (0.9, 0.9)),
    ("Euler", KARRAS, (1.0, 1.0)),
    ("DPM++ 2M Karras", {}, (2.0, 1.8)),
    ("UniPC Karras", {}, (3.1, 2.8)),
    ("UniPC Karras", {"solver_order": 3}, (3.6, 3.9)),
    ("LMS", KARRAS, (3.7, 3.3)),
    ("Heun", KARRAS, (2.0, 2.0)),
]


@pytest.mark.parametrize(("name", "parameters", "orders"), ORDERS)
def test_each_sampler_has_its_order_and_the_trajectory_of_its_reference(
    name: str, parameters: dict[str, Any], orders: tuple[float, float]
) -> None:
    result = oracle.assess(ours(name, parameters), name, parameters=parameters)
    assert result.problems() == () and result.is_identical
    assert result.trajectory_error < 1e-5 < TOLERANCE
    for row, order in zip(result.measured, orders, strict=True):
        assert row.order == pytest.approx(order, abs=ORDER_SLACK)
        assert row.interior < 0.05 and row.final < 0.05


@pytest.mark.parametrize(
    ("name", "parameters"), [*((name, parameters) for name, parameters, _ in ORDERS), ("DDIM", TRAILING)]
)
@pytest.mark.parametrize("kind", ["v_prediction", "sample"])
def test_epsilon_v_and_x0_predictions_give_the_same_latents(
    name: str, parameters: dict[str, Any], kind: str
) -> None:
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))
    outputs = [
        ours(name, parameters, prediction_type=each)(
            oracle.Network(law, {**SD, "prediction_type": each}), noise, 28, 0
        )
        for law in oracle.LAWS
        for each in ("epsilon", kind)
    ]
    assert float((outputs[0] - outputs[1]).abs().max()) < 1e-5
    assert float((outputs[2] - outputs[3]).abs().max()) < 1e-5


@pytest.mark.parametrize(("name", "kind"), [("DDIM", "DDIMScheduler"), ("PNDM", "PNDMScheduler")])
def test_trailing_steps_of_diffusers_err_where_they_do_not_divide_1000_and_ours_do_not(
    name: str, kind: str
) -> None:
    """diffusers steps by 1000 // N and not to its own next timestep."""
    spaced = {**TRAILING, "skip_prk_steps": True}
    right, wrong = (
        oracle.assess(run, name, parameters=TRAILING, laws=oracle.LAWS[:1])
        for run in (ours(name, TRAILING), theirs(kind, **spaced))
    )
    assert right.problems() == ()
    assert wrong.trajectory_error > 100 * TOLERANCE
    assert right.order > 0.6 > 0.3 > wrong.order
    divides = oracle.assess(theirs(kind, **spaced), name, parameters=TRAILING, steps=40, step_counts=(40,))
    assert divides.is_identical


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "kind"),
    [("DPM++ 2M Karras", "DPMSolverMultistepScheduler"), ("UniPC Karras", "UniPCMultistepScheduler")],
)
def test_diffusers_rounds_karras_timesteps_and_ours_are_exact(name: str, kind: str) -> None:
    alone = {key: value for key, value in SD.items() if key != "set_alpha_to_one"}
    right, wrong = (oracle.assess(run, name) for run in (ours(name), theirs(kind, **alone, **KARRAS)))
    assert right.problems() == ()
    assert max(row.timesteps for row in wrong.measured) == pytest.approx(0.5, abs=0.1)
    assert 2e-4 < wrong.trajectory_error < 2e-2
    assert any("fractions included" in problem for problem in wrong.problems())


def test_pndm_of_diffusers_mixes_v_predictions_of_different_timesteps_and_ours_does_not() -> None:
    config = {**SD, "prediction_type": "v_prediction"}
    right, wrong = (
        oracle.assess(run, "PNDM", scheduler_config=config)
        for run in (
            ours("PNDM", prediction_type="v_prediction"),
            theirs("PNDMScheduler", skip_prk_steps=True, prediction_type="v_prediction"),
        )
    )
    assert right.problems() == ()
    assert wrong.final > 3 * right.final and wrong.order < right.order - ORDER_SLACK


def wrongly(
    name: str = "DPM++ 2M Karras",
    *,
    shown: Callable[[Any, float], Any] = lambda latents, timestep: latents,
    told: Callable[[tuple[float, ...], int], float] = lambda timesteps, index: timesteps[index],
    answer: Callable[[Any], Any] = lambda output: output,
    kept: Callable[[Any], Any] = lambda latents: latents,
    parameters: dict[str, Any] | None = None,
    **config: Any,
) -> oracle.Run:
    """Our sampler with something put wrong on its way."""
    sampler = samplers.build(name, parameters or {}, {**SD, **config})

    def run(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        schedule, generator = sampler.schedule(steps), torch.Generator().manual_seed(seed)
        latents = schedule.initial(noise)
        for index, timestep in enumerate(schedule.timesteps):
            output = answer(network(shown(latents, timestep), told(schedule.timesteps, index)))
            latents = kept(schedule.step(output, index, latents, generator))
        return latents

    return run


def unscaled(latents: Any, timestep: float) -> Any:
    return latents * np.hypot(1.0, oracle.Network(oracle.LAWS[0]).schedule.ratio(timestep))


def next_one(timesteps: tuple[float, ...], index: int) -> float:
    return timesteps[min(index + 1, len(timesteps) - 1)]


BUGS: dict[str, tuple[str, oracle.Run]] = {
    "v read as epsilon": ("Euler", wrongly("Euler", prediction_type="v_prediction")),
    "input not scaled": ("Euler", wrongly("Euler", shown=unscaled)),
    "time off by a step": ("DDIM", wrongly("DDIM", told=next_one)),
    "time off by one": ("DDIM", wrongly("DDIM", told=lambda times, index: max(times[index] - 1, 0))),
    "order 1 for 2": ("DPM++ 2M Karras", wrongly("Euler", parameters=KARRAS)),
    "order 1 for UniPC": ("UniPC Karras", wrongly("UniPC Karras", parameters={"solver_order": 1})),
    "epsilon 2 % too large": ("DPM++ 2M Karras", wrongly(answer=lambda output: 1.02 * output)),
    "epsilon 0.1 % too large": ("DPM++ 2M Karras", wrongly(answer=lambda output: 1.001 * output)),
    "timesteps rounded": ("DPM++ 2M Karras", wrongly(told=lambda times, index: round(times[index]))),
    "timesteps rounded to ten": (
        "Euler",
        wrongly("Euler", told=lambda times, index: round(times[index], -1)),
    ),
    "steps_offset forgotten": ("DDIM", wrongly("DDIM", steps_offset=0)),
    "linear betas": ("DDIM", wrongly("DDIM", beta_schedule="linear")),
    "ends on clean latents": ("PNDM", wrongly("PNDM", set_alpha_to_one=True)),
    "not Karras": ("LMS", wrongly("LMS")),
    "another spacing": ("Euler", wrongly("Euler", parameters=TRAILING)),
    "float16 latents": ("DPM++ 2M Karras", wrongly(kept=lambda latents: latents.half().float())),
    "bfloat16 latents": ("DPM++ 2M Karras", wrongly(kept=lambda latents: latents.bfloat16().float())),
    "clipped latents": ("DDIM", wrongly("DDIM", kept=lambda latents: latents.clamp(-3, 3))),
    "not a number": ("DDIM", wrongly("DDIM", kept=lambda latents: latents * float("nan"))),
    "another algorithm": ("UniPC Karras", wrongly("DPM++ 2M Karras")),
    "calls too many": ("Euler", wrongly("Heun")),
}
CLAIMED: dict[str, dict[str, Any]] = {"LMS": KARRAS}


@pytest.mark.parametrize("bug", BUGS)
def test_a_wrong_sampler_is_caught_by_its_trajectory(bug: str) -> None:
    """At 28 steps alone, whatever its order: this is the strong half of the proof."""
    name, run = BUGS[bug]
    result = oracle.assess(run, name, parameters=CLAIMED.get(name), step_counts=(28,))
    assert not result.is_identical
    assert result.trajectory_error > TOLERANCE
    assert result.problems()


def test_order_and_error_are_measured_for_a_sampler_that_has_no_reference() -> None:
    result = oracle.assess(ours("Heun", KARRAS))
    assert result.order == pytest.approx(2.0, abs=ORDER_SLACK)
    assert (result.expected, result.trajectory_error, result.problems()) == ((), 0.0, ())


def test_a_sampler_that_does_not_repeat_is_told() -> None:
    def run(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        return ours("Euler a")(network, noise, steps, int(torch.randint(2**31, ())))

    assert oracle.assess(run, step_counts=(28,)).problems() == (
        "Two runs from the same noise and seed differ.",
    )


def test_a_sampler_that_draws_noise_has_no_trajectory_to_compare_with() -> None:
    with pytest.raises(ConfigError, match="no deterministic reference"):
        oracle.assess(ours("Euler a"), "Euler a", step_counts=(28,))
    with pytest.raises(ConfigError, match="draws no noise"):
        oracle.assess_moments(ours("Heun"), "Heun")


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda network, noise, steps, seed: noise, "did not call the network"),
        (
            lambda network, noise, steps, seed: network(noise, 999)[:, :1],
            r"shape \(1, 1, 8, 8\) from noise of",
        ),
    ],
)
def test_what_is_no_sampler_is_refused(run: oracle.Run, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        oracle.assess(run, "Euler")


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
        oracle.assess_moments(ours("Euler a"), "Euler a", steps=steps).expected_deviation
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
        (seed_ignored, "Another seed gives the same image"),
        (same_noise_again, "drawn once and used at two steps"),
        (ours("DDIM", {"eta": 0.9}), "The noise drawn is not as large"),
        (ours("Euler", {"timestep_spacing": "leading"}), "Another seed gives the same image"),
        (wrongly("DDIM", parameters={"eta": 1.0}, answer=lambda output: 1.001 * output), "coefficients"),
        (wrongly("DDIM", parameters={"eta": 1.0}, told=next_one), "a timestep off by"),
        (wrongly("DDIM", parameters={"eta": 1.0}, prediction_type="v_prediction"), "coefficients"),
        (ours("DDIM", {"eta": 1.0, **TRAILING}), "a timestep off by"),
    ],
)
def test_a_wrong_stochastic_sampler_is_caught(run: oracle.Run, says: str) -> None:
    name, parameters = ("DDIM", {"eta": 1.0})
    if run in (same_noise_again, seed_ignored):
        name, parameters = "Euler a", {}
    problems = oracle.assess_moments(run, name, parameters=parameters).problems()
    assert any(says in problem for problem in problems), problems


def test_a_network_answers_arrays_and_tensors_in_kind() -> None:
    network, latents = oracle.Network(oracle.Mixture()), np.ones((1, 4, 2, 2), np.float32)
    array, tensor = network(latents, 500), network(torch.from_numpy(latents).half(), torch.tensor(500.0))
    assert array.dtype == np.float32 and tensor.dtype == torch.float16
    assert tensor.float().numpy() == pytest.approx(array, abs=1e-3)
    assert network.timesteps == [500.0, 500.0]
