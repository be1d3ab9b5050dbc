"""B3: the oracle agrees with what is known, passes right samplers and catches every wrong one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_engine import ConfigError, oracle
from reference_engine.oracle.assessment import ORDER_SLACK, TOLERANCE
from tests.reference_engine.made_samplers import (
    KARRAS,
    SD,
    TRAILING,
    next_one,
    ours,
    theirs,
    unscaled,
    wrongly,
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
    ("UniPC Karras", {"solver_order": 3}, (3.6, 4.5)),
    ("LMS", KARRAS, (3.7, 3.3)),
    ("Heun", KARRAS, (2.0, 2.0)),
]


@pytest.mark.parametrize(
    ("name", "parameters", "order"),
    [("DDIM", {}, 1), ("DDIM", TRAILING, 1), ("Euler", {}, 1), ("Euler", KARRAS, 1), ("Heun", KARRAS, 2)],
)
def test_a_right_sampler_passes_as_one_of_its_own_kind_on_every_drawn_law(
    name: str, parameters: dict[str, Any], order: float
) -> None:
    """On one law even timesteps are the better ones, on another Karras levels; both are right."""
    for entropy in range(12):
        laws = oracle.draw_laws(entropy)
        assert oracle.assess(ours(name, parameters), order=order, laws=laws, seed=entropy).problems() == ()


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
        wrongly("Euler", told=lambda times, index: min(round(times[index], -1), 999)),
    ),
    "steps_offset forgotten": ("DDIM", wrongly("DDIM", steps_offset=0)),
    "linear betas": ("DDIM", wrongly("DDIM", beta_schedule="linear")),
    "ends on clean latents": ("PNDM", wrongly("PNDM", set_alpha_to_one=True)),
    "not Karras": ("LMS", wrongly("LMS")),
    "another spacing": ("Euler", wrongly("Euler", parameters=TRAILING)),
    "float16 latents": ("DPM++ 2M Karras", wrongly(kept=lambda latents: latents.half().float())),
    "bfloat16 latents": ("DPM++ 2M Karras", wrongly(kept=lambda latents: latents.bfloat16().float())),
    "clipped latents": ("DDIM", wrongly("DDIM", kept=lambda latents: latents.clamp(-3, 3))),
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
    assert (result.trajectory_error, result.problems()) == (0.0, ())


@pytest.mark.parametrize(("name", "order"), [("Euler", 1), ("DPM++ 2M Karras", 2), ("UniPC Karras", 3)])
def test_a_sampler_of_its_own_kind_is_held_to_the_order_that_it_claims(name: str, order: int) -> None:
    assert oracle.assess(ours(name), order=order).problems() == ()
    assert oracle.assess(ours(name), order=order + 1).order_problems()


def test_a_sampler_of_its_own_kind_must_not_be_worse_than_eulers_method() -> None:
    def run(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        ours("Euler")(network, noise, steps, seed)
        return network.inputs[-2].astype(np.float32)

    result = oracle.assess(run, step_counts=(28,))
    *_, told = result.error_problems()
    assert told.startswith("Its error is 0.077 on the mixture law at 28 steps; Euler leaves 0.039")


def test_a_sampler_that_begins_where_latents_are_not_noise_alone_is_told() -> None:
    """It would solve the rest of the way exactly, and its pictures would be of another law."""

    def run(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        start, latents = float(network.schedule.ratio(500.0)), noise
        latents = latents * np.float32(start / np.hypot(1.0, start))
        z = latents.astype(np.float64) * np.hypot(1.0, start)
        network(latents, 500.0)
        return network.law.solution(z, start, 0.0).astype(np.float32)

    told = oracle.assess(run, step_counts=(28,)).error_problems()
    assert len(told) == 2 and all("begins 50% up the timesteps" in problem for problem in told)


def test_doubled_first_latents_are_told_whatever_the_kind() -> None:
    def doubled(name: str) -> oracle.Run:
        return lambda network, noise, steps, seed: ours(name)(network, 2 * noise, steps, seed)

    assert (
        "first at call 0: check how the first latents" in oracle.assess(doubled("DDIM"), "DDIM").problems()[0]
    )
    assert oracle.assess(doubled("DDIM")).error_problems()
    (told, *_) = oracle.assess_moments(doubled("Euler a"), "Euler a").trajectory_problems()
    assert told.startswith("Its first latents are off by")


def test_a_sampler_that_does_not_repeat_is_told() -> None:
    def run(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        return ours("Euler a")(network, noise, steps, int(torch.randint(2**31, ())))

    assert oracle.assess(run, step_counts=(28,)).repetition_problems() == (
        "Two runs from the same noise and seed differ.",
    )


def test_a_sampler_that_heeds_the_seed_without_saying_that_it_draws_noise_is_told() -> None:
    result = oracle.assess(ours("Euler a"), step_counts=(28,))
    assert result.repetition_problems() == (
        "Another seed gives other latents, although this sampler must not draw noise.",
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
            r"returned latents have the shape \(1, 1, 8, 8\); the noise has \(1, 4, 8, 8\)",
        ),
        (
            lambda network, noise, steps, seed: network(noise[:, :, :4], 999),
            "latents of call 0 have the shape",
        ),
        (lambda network, noise, steps, seed: network(noise * np.nan, 999), "of call 0 are not finite"),
        (lambda network, noise, steps, seed: network(noise, 999) / 0, "returned latents are not finite"),
        (
            lambda network, noise, steps, seed: network(noise, np.inf),
            "timestep of call 0 is inf; the model has 0 to 999",
        ),
        (lambda network, noise, steps, seed: network(noise, 1000), "timestep of call 0 is 1000; the model"),
        (lambda network, noise, steps, seed: network(noise, np.nan), "timestep of call 0 is nan"),
        (lambda network, noise, steps, seed: endless(network, noise), "348 times without end"),
        (lambda network, noise, steps, seed: "latents", "an array or a tensor, not str"),
    ],
)
def test_what_is_no_sampler_is_refused(run: oracle.Run, says: str) -> None:
    with pytest.raises(oracle.NotASampler, match=says), np.errstate(divide="ignore", invalid="ignore"):
        oracle.assess(run, "Euler", step_counts=(28,))


def endless(network: oracle.Network, latents: Any) -> Any:
    while True:
        network(latents, 999)


def test_a_sampler_on_arrays_and_one_on_tensors_are_judged_alike() -> None:
    """The judging is NumPy alone; `on_tensors` is all that is between."""
    taken: list[type] = []

    def on_arrays(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        taken.append(type(noise))
        return ours("DPM++ 2M Karras")(network, noise, steps, seed).numpy()

    results = [oracle.assess(run, "DPM++ 2M Karras") for run in (on_arrays, ours("DPM++ 2M Karras"))]
    assert results[0] == results[1]
    assert set(taken) == {np.ndarray}


@given(st.integers(0, 2**128))
@settings(max_examples=8, deadline=None)
def test_laws_that_are_drawn_are_solved_exactly_and_no_two_alike(entropy: int) -> None:
    """By Tweedie's formula, as above."""
    z, ratio, step = np.linspace(-3, 3, 256).reshape(1, 4, 8, 8), 0.7, 1e-5
    for law, other in zip(oracle.draw_laws(entropy), oracle.draw_laws(entropy + 1), strict=True):
        moved = (law.solution(z, ratio, ratio + step) - law.solution(z, ratio, ratio - step)) / (2 * step)
        assert law.denoised(z, ratio) == pytest.approx(z - ratio * moved, abs=1e-7)
        assert np.abs(law.denoised(z, ratio) - other.denoised(z, ratio)).max() > 0.01


@given(st.integers(0, 2**128), st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_right_samplers_pass_on_laws_that_are_drawn(entropy: int, seed: int) -> None:
    for name in ("DDIM", "DPM++ 2M Karras", "UniPC Karras"):
        assert oracle.assess(ours(name), name, laws=oracle.draw_laws(entropy), seed=seed).problems() == ()
    law = oracle.draw_law(entropy)
    assert oracle.assess_moments(ours("Euler a"), "Euler a", law=law, seed=seed).problems() == ()
    assert oracle.assess_moments(ours("Euler a"), law=law, seed=seed).problems() == ()


def test_a_network_answers_arrays_and_tensors_in_kind() -> None:
    network, latents = oracle.Network(oracle.Mixture()), np.ones((1, 4, 2, 2), np.float32)
    array, tensor = network(latents, 500), network(torch.from_numpy(latents).half(), torch.tensor(500.0))
    assert array.dtype == np.float32 and tensor.dtype == torch.float16
    assert tensor.float().numpy() == pytest.approx(array, abs=1e-3)
    assert network.timesteps == [500.0, 500.0]
