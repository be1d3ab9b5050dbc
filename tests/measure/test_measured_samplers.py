"""Samplers measured through a worker, and what the suite decides on what was measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from certify.candidate.manifest_samplers import Sampler
from certify.measure.checks import Broken, NotEvidenced
from certify.measure.randomness import Draws
from certify.measure.samplers import ENDS, STEPS, Away, Elsewhere, Measured, Once, Trial, measure
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.faults import PluginError, TimedOut, WorkerEnded
from certify.sandbox.host.host import Host
from certify.sandbox.host.plugin import Opening, RemotePlugin
from reference_engine import oracle, samplers
from tests.made_up import PUPPET
from tests.suites.test_suites_logic import suite

OFFERED = """
from pathlib import Path
from reference_engine import oracle, samplers
from puppet import Puppet
def _ours(name, **parameters):
    return oracle.run_of_sampler(samplers.build(name, parameters, oracle.SD_SCHEDULE))
dpm, lively = _ours("DPM++ 2M Karras"), _ours("Euler a")
def halved(network, noise, steps, seed):
    return network(noise, 999)[:, :2]
"""
SEED = Draws("7", "sampler", "x")
logic = suite("samplers")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemotePlugin]:
    """A plugin that offers the engine's own samplers."""
    scratch = tmp_path_factory.mktemp("samplers")
    root = scratch / "plugin"
    root.mkdir()
    (root / "offered.py").write_text(OFFERED, "utf-8")
    (root / "puppet.py").write_text((PUPPET / "puppet.py").read_text("utf-8"), "utf-8")
    with Host(scratch / "host", warm=False) as host:
        plugin = RemotePlugin(
            host, scratch / "workers", Opening(root, "native", "offered:Puppet", {}, 60, 60)
        )
        yield plugin
        plugin.close()


def offered(entry: str, **more: Any) -> Sampler:
    return Sampler.model_validate({"name": entry, "entry": f"offered:{entry}", **more})


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")


@on_linux
@pytest.mark.parametrize(("entry", "algorithm"), [("dpm", "DPM++ 2M Karras"), ("lively", "Euler a")])
def test_through_the_conversation_a_sampler_is_judged_bit_for_bit_as_beside_the_oracle(
    plugin: RemotePlugin, entry: str, algorithm: str
) -> None:
    """float32 is what torch works in, so that nothing is lost on the way."""
    sampler = offered(entry, algorithm=algorithm)
    measured = measure(plugin, sampler, Draws("7", "a", "b"))
    draws = Draws("7", "a", "b")
    laws, law, seed = oracle.draw_laws(draws.entropy()), oracle.draw_law(draws.entropy()), draws.seed()
    away = Away(draws, sampler)
    run = oracle.run_of_sampler(samplers.build(algorithm, {}, oracle.SD_SCHEDULE))
    config = {**oracle.SD_SCHEDULE, "prediction_type": "epsilon"}
    if entry == "dpm":
        assert measured.by_trajectory == oracle.assess(
            run, algorithm, laws=laws, seed=seed, scheduler_config=config, step_counts=away.counts
        )
        assert measured.by_trajectory.problems() == () and measured.repeats
        assert measured.elsewhere is not None and measured.elsewhere.assessment is not None
        assert measured.elsewhere.assessment.trajectory_problems() == ()
        assert measured.calls == sum(ENDS) + 2 * sum(away.counts) + 2 * STEPS + 4 * away.steps
    else:
        assert measured.by_moments == oracle.assess_moments(
            run, algorithm, law=law, seed=seed, scheduler_config=config
        )
        assert measured.by_moments.problems() == () and measured.repeats
        assert measured.elsewhere == Elsewhere(away.steps, away.shape, repeats=True)
        assert measured.calls == sum(ENDS) + 4 * STEPS + 2 * away.steps


@on_linux
def test_each_sampler_is_measured_once_and_trouble_of_one_leaves_the_others(plugin: RemotePlugin) -> None:
    rows = (offered("halved"), offered("missing"), offered("lively", stochastic=True))
    once, notes, before = Once(), list[str](), plugin.ledger.calls
    trials = once.get(rows, plugin, "7", notes.append)
    assert "have the shape (1, 2, 8, 8)" in trials[0].does_not_run
    assert "AttributeError" in trials[1].does_not_run
    assert trials[2].measured is not None and trials[2].measured.by_moments is not None
    calls = plugin.ledger.calls
    assert calls > before and once.get(rows, plugin, "7", notes.append) == trials
    assert plugin.ledger.calls == calls
    assert notes == ["sampler halved", "sampler missing", "sampler lively"]


def test_the_law_of_a_run_comes_from_its_seed_alone() -> None:
    assert Draws("1", "sampler", "x").entropy() == Draws("1", "sampler", "x").entropy()
    assert Draws("1", "sampler", "x").entropy() != Draws("2", "sampler", "x").entropy()
    assert SEED.entropy().bit_length() > 100


def test_where_a_sampler_is_measured_besides_is_drawn() -> None:
    named, own = offered("x", algorithm="Euler"), offered("x", order=1)
    drawn = [Away(Draws(str(root), "sampler", "x"), named) for root in range(20)]
    assert len({(away.steps, away.shape) for away in drawn}) == 20
    assert all(ENDS[0] < away.steps < ENDS[1] and away.counts[0] == STEPS for away in drawn)
    assert all(oracle.first_noise(away.laws[1], 1).shape == away.shape for away in drawn)
    assert Away(Draws("1", "sampler", "x"), own).steps == STEPS


def test_one_that_is_right_only_where_it_knows_that_it_is_measured_is_told() -> None:
    euler, heun = (
        oracle.run_of_sampler(samplers.build(name, {}, oracle.SD_SCHEDULE)) for name in ("Euler", "Heun")
    )
    named, own = offered("x", algorithm="Euler"), offered("x", order=1)
    options = {"parameters": {}, "scheduler_config": oracle.SD_SCHEDULE, "seed": 3}
    there = Away(SEED, named).assess(heun, 1.0, options)
    measured = Measured(RIGHT, None, {}, 1, 0.1, there)
    assert f"at {there.steps} steps" in measured.trajectory_problems[-1]
    assert measured.error_problems == () and measured.repeats
    assert Measured(RIGHT, None, {}, 1, 0.1, Away(SEED, named).assess(euler, 1.0, options)).repeats

    def lazy(network: oracle.Network, noise: Any, steps: int, seed: int) -> Any:
        network(noise, 999)
        return noise

    there = Away(SEED, own).assess(lazy, 1.0, options)
    measured = Measured(replace(RIGHT, algorithm=None), None, {}, 1, 0.1, there)
    assert "Its error is" in measured.error_problems[0] and str(there.shape) in measured.error_problems[0]
    assert not Measured(None, LIVELY, {}, 1, 0.1, replace(there, repeats=False, assessment=None)).repeats


# What the suite decides.

RIGHT = oracle.assess(
    oracle.run_of_sampler(samplers.build("Euler", {}, oracle.SD_SCHEDULE)), "Euler", step_counts=(28, 40)
)
LIVELY = oracle.assess_moments(
    oracle.run_of_sampler(samplers.build("Euler a", {}, oracle.SD_SCHEDULE)), "Euler a", steps=10
)


def a_trial(assessment: Any = RIGHT, trouble: Exception | None = None, **more: Any) -> Trial:
    by_moments = isinstance(assessment, oracle.MomentAssessment)
    row = Sampler(name="x", entry="a:b", algorithm="Euler a" if by_moments else "Euler")
    kinds = more.pop("kinds", ("epsilon",))
    row = row.model_copy(update={"prediction_types": kinds})
    table = (
        {"by_trajectory": None, "by_moments": assessment}
        if by_moments
        else {"by_trajectory": assessment, "by_moments": None}
    )
    measured = Measured(**table, predictions={}, calls=1, seconds=0.1)
    return Trial(row, None if trouble else replace(measured, **more), trouble)


JUDGED: tuple[Callable[..., None], ...] = (
    logic.test_the_seed_and_nothing_else_decides,
    logic.test_every_prediction_type_leads_to_the_same_latents,
    logic.test_the_trajectory_is_that_of_the_algorithm,
    logic.test_errors_shrink_with_steps_as_the_order_says,
    logic.test_the_final_error_is_small,
)
SEVERAL: dict[str, Any] = {"kinds": ("epsilon", "sample")}


@pytest.mark.parametrize("test", JUDGED)
def test_a_right_sampler_passes_and_one_that_was_not_measured_does_not(
    tmp_path: Path, test: Callable[..., None]
) -> None:
    box = EvidenceBox(tmp_path, "sampler.x")
    test([a_trial(**SEVERAL, predictions={"sample": 1e-6})], box)
    for trouble in (oracle.NotASampler("no calls"), PluginError("no", error_type="KeyError")):
        with pytest.raises(NotEvidenced, match=r"x does not run; see sampler\.runs"):
            test([a_trial(), a_trial(trouble=trouble, **SEVERAL)], box)
    for fault in (TimedOut("no answer"), WorkerEnded("killed")):
        with pytest.raises(type(fault)):
            test([a_trial(), a_trial(trouble=fault, **SEVERAL)], box)


def test_a_broken_sampler_goes_before_one_that_was_not_measured(tmp_path: Path) -> None:
    broken = a_trial(replace(RIGHT, same_seed_repeats=False))
    for trials in ([broken, a_trial(trouble=TimedOut("no"))], [a_trial(trouble=TimedOut("no")), broken]):
        with pytest.raises(Broken, match="x: Two runs from the same noise and seed differ"):
            logic.test_the_seed_and_nothing_else_decides(trials, EvidenceBox(tmp_path, "sampler.repeats"))


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (oracle.NotASampler("The sampler did not call the network."), "x: The sampler did not call"),
        (PluginError("no module", error_type="ImportError"), "x: it raised ImportError: no module"),
    ],
)
def test_what_does_not_run_is_told(tmp_path: Path, trouble: Exception, says: str) -> None:
    claims: list[str] = []
    with pytest.raises(Broken, match=says):
        logic.test_every_sampler_runs_to_its_end(
            [a_trial(), a_trial(trouble=trouble)], EvidenceBox(tmp_path, "sampler.runs"), claims.append
        )
    assert len(claims) == 1 and "whether the plugin generates images with it was not measured" in claims[0]


def test_runs_that_do_not_repeat_are_not_compared(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "sampler.x")
    with pytest.raises(NotEvidenced, match=r"see sampler\.repeats"):
        logic.test_the_trajectory_is_that_of_the_algorithm(
            [a_trial(replace(LIVELY, same_seed_repeats=False))], box
        )
    with pytest.raises(NotEvidenced, match=r"see sampler\.repeats"):
        logic.test_every_prediction_type_leads_to_the_same_latents(
            [a_trial(replace(RIGHT, same_seed_repeats=False), **SEVERAL)], box
        )


@pytest.mark.parametrize("apart", [2e-4, float("inf"), float("nan")])
def test_prediction_types_that_lead_elsewhere_are_told(tmp_path: Path, apart: float) -> None:
    with pytest.raises(Broken, match=r"With prediction_type sample the latents .* from scheduler_config"):
        logic.test_every_prediction_type_leads_to_the_same_latents(
            [a_trial(**SEVERAL, predictions={"sample": apart})], EvidenceBox(tmp_path, "sampler.x")
        )


def test_the_evidence_shows_orders_errors_and_the_way_of_the_difference(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "sampler.matches-algorithm")
    logic.test_the_trajectory_is_that_of_the_algorithm([a_trial()], box)
    logic.test_errors_shrink_with_steps_as_the_order_says([a_trial()], box)
    logic.test_the_final_error_is_small([a_trial()], box)
    named = {item.name: item for item in box.items}
    curve = named["x: difference by call"]
    assert len(getattr(curve, "points", ())) == 29
    assert getattr(named["x: order, Gaussian"], "value", 0) == pytest.approx(
        RIGHT.measured[0].order, rel=1e-2
    )
    assert getattr(named["x: error, mixture"], "value", 0) == pytest.approx(RIGHT.measured[1].final, rel=1e-2)
