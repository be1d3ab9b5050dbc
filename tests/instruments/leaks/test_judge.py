"""The leak rule on seeded synthetic traces: what it must find, and what it must leave alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.leaks.judge import (
    MEMORY_BUDGET,
    MEMORY_SLACK,
    SURE,
    Sample,
    judge_counts,
    judge_inside,
    judge_memory,
    passed_cap,
    per_day,
    worst,
)
from certify.instruments.leaks.trend import mann_kendall_p

TRACES = 100
BASE = 300e6
NOISE = 50e3  # bytes, the spread of a steady process after collecting and trimming
# (calls, samples): quick profiles with a checkpoint each five calls, and a longer soak.
RUNS = [(300, 60), (800, 160), (6000, 120)]


def samples(values, calls, resource="rss_anon"):
    fixed = {"rss_anon": 0, "fds": 0, "threads": 0, "children": 0, "files": 0, "file_bytes": 0}
    return [
        Sample(call=int(call), seconds=call / 20, **{**fixed, resource: int(value)})
        for call, value in zip(calls, values, strict=True)
    ]


def noise(c, n, rng):
    return rng.normal(0, NOISE, len(c))


def correlated(c, n, rng):
    keep = np.exp(-(c[1] - c[0]) / (n * rng.choice([1 / 30, 1 / 6, 2 / 3])))
    kicks = rng.normal(0, 1e6 * np.sqrt(1 - keep**2), len(c))
    values = np.zeros(len(c))
    values[0] = rng.normal(0, 1e6)
    for i in range(1, len(c)):
        values[i] = keep * values[i - 1] + kicks[i]
    return values


def saturating(c, n, rng):
    return 50e6 * (1 - np.exp(-c / (n * rng.uniform(1 / 20, 1 / 3)))) + noise(c, n, rng)


def early_cache(c, n, rng):
    return 50e6 * np.minimum(1, c / (n * rng.uniform(0.02, 0.24))) + noise(c, n, rng)


def middle_cache(c, n, rng):
    return 50e6 * np.minimum(1, c / (n * rng.uniform(0.26, 0.48))) + noise(c, n, rng)


def few_steps(c, n, rng):
    places, heights = rng.uniform(0, n, (4, 1)), rng.uniform(1e6, 8e6, (4, 1))
    return (heights * (c > places)).sum(axis=0) + noise(c, n, rng)


def sawtooth(c, n, rng):
    period = n * rng.uniform(0.01, 0.5)
    return 20e6 * ((c + rng.uniform(0, period)) / period % 1) + noise(c, n, rng)


def logarithmic(c, n, rng):
    return 5e6 * np.log(c) + noise(c, n, rng)


HARMLESS = [noise, correlated, saturating, early_cache, middle_cache, few_steps, sawtooth, logarithmic]


def judged(shape, run, seed):
    n, count = run
    calls = np.arange(1, count + 1) * n / count
    rng = np.random.default_rng([seed, n])
    return judge_memory(samples(BASE + shape(calls, n, rng), calls))


@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("shape", HARMLESS, ids=lambda shape: shape.__name__)
def test_harmless_growth_is_called_a_leak_in_two_percent_at_most(shape, run):
    leaks = sum(judged(shape, run, seed).verdict == "LEAK" for seed in range(TRACES))
    assert leaks <= 0.02 * TRACES


@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("shape", [noise, early_cache], ids=lambda shape: shape.__name__)
def test_a_steady_process_is_clean(shape, run):
    clean = sum(judged(shape, run, seed).verdict == "CLEAN" for seed in range(TRACES))
    assert clean >= 0.96 * TRACES


@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("restless", [1, 20])
def test_leaks_of_twice_r_min_are_found_in_ninety_percent(restless, run):
    rate = 2 * max(judged(lambda *trace: restless * noise(*trace), run, seed).r_min for seed in range(5))

    def leak(c, n, rng):
        return rate * c + restless * noise(c, n, rng)

    found = sum(judged(leak, run, seed).verdict == "LEAK" for seed in range(TRACES))
    assert found >= 0.9 * TRACES


def test_64_kib_a_call_are_found_in_300_calls_behind_a_warm_up():
    def leak(c, n, rng):
        return 65536 * c + 20e6 * (1 - np.exp(-c / 20)) + 4 * noise(c, n, rng)

    verdicts = [judged(leak, (300, 60), seed) for seed in range(TRACES)]
    assert sum(verdict.verdict == "LEAK" for verdict in verdicts) >= 0.9 * TRACES
    assert np.median([verdict.rate for verdict in verdicts]) == pytest.approx(65536, rel=0.05)


def test_growth_that_fades_is_undecided_and_says_so():
    verdict = judged(logarithmic, (800, 160), 1)
    assert verdict.verdict == "UNDECIDED"
    assert "fades" in verdict.reason


def test_growth_in_the_second_half_alone_is_undecided():
    verdict = judged(lambda c, n, rng: 1e5 * np.maximum(0, c - n / 2) + noise(c, n, rng), (800, 160), 1)
    assert verdict.verdict == "UNDECIDED"
    assert "second half alone" in verdict.reason


@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("begin", [0.5, 0.6, 0.7, 0.75, 0.8, 0.85])
def test_a_leak_that_begins_late_is_never_clean(begin, run):
    rate = 4 * max(judged(noise, run, seed).r_min for seed in range(5))

    def leak(c, n, rng):
        return rate * np.maximum(0, c - begin * n) + noise(c, n, rng)

    verdicts = [judged(leak, run, seed).verdict for seed in range(TRACES)]
    assert verdicts.count("CLEAN") <= 0.1 * TRACES


@pytest.mark.parametrize("resource", ["fds", "threads", "children", "zombies", "files"])
@pytest.mark.parametrize("begin", [0.55, 0.7, 0.8, 0.87])
def test_counts_that_begin_to_pile_up_late_are_never_clean(resource, begin):
    counts = 20 + np.maximum(0, CALLS - 300 * begin)
    assert judge_counts(samples(counts, CALLS, resource), resource).verdict != "CLEAN"


def test_many_looks_keep_the_error_of_one():
    """Noise that is correlated over a third of the run, judged at 1/8, 1/4, 1/2 and all of it."""
    alarms = 0
    for seed in range(TRACES):
        calls = np.arange(1, 1601) * 10.0
        values = BASE + correlated(calls, 16000, np.random.default_rng(seed))
        trace = samples(values, calls)
        looks = enumerate((200, 400, 800, 1600), 1)
        alarms += any(judge_memory(trace[:n], slack=0, look=look).verdict == "LEAK" for look, n in looks)
    assert alarms <= 0.02 * TRACES


def test_a_rate_of_the_harness_itself_is_no_leak():
    trace = samples(BASE + 5000 * CALLS, CALLS)
    assert judge_memory(trace, slack=0).verdict == "LEAK"
    assert judge_memory(trace, slack=0, reference=2000).verdict == "CLEAN"


def test_clean_is_never_said_without_the_smallest_leak_that_would_have_been_seen():
    verdict = judged(noise, (800, 160), 1)
    assert verdict.verdict == "CLEAN"
    assert "1.4 KiB a call or more" in verdict.reason
    assert per_day(verdict.r_min, "memory") == "23.8 MiB"


@pytest.mark.parametrize(("resource", "value"), [("fds", 900), ("rss_anon", 10 << 30), ("children", 60)])
def test_a_run_ends_where_the_worker_holds_nearly_all_that_it_may(resource, value):
    first, last = samples([10, value], [1, 100], resource)
    told = passed_cap(first, last)
    assert told is not None
    assert told.verdict == "LEAK"
    assert passed_cap(last, last) is None
    assert passed_cap(first, first) is None


def test_the_worst_verdict_counts():
    leak = judge_counts(samples(20 + CALLS, CALLS, "fds"), "fds")
    clean = judge_counts(samples(20 + 0 * CALLS, CALLS, "fds"), "fds")
    assert worst([clean, leak]) == "LEAK"
    assert worst([clean]) == "CLEAN"
    assert worst([]) == "UNDECIDED"


def test_r_min_is_the_slack_the_noise_or_the_budget_whichever_is_most():
    calls = np.arange(1, 121) * 1000.0
    quiet = judge_memory(samples(np.full(120, BASE), calls))
    short = judge_memory(samples(np.full(120, BASE), calls / 200))
    restless = judge_memory(samples(BASE + np.random.default_rng(0).normal(0, 1e9, 120).clip(-BASE), calls))
    assert quiet.r_min == SURE * MEMORY_BUDGET
    assert short.r_min == pytest.approx(SURE * 2 * MEMORY_SLACK / 595)
    assert restless.r_min is not None
    assert restless.r_min > 18 * 2e8 / 120_000
    assert judge_memory(samples(np.full(120, BASE), calls), budget=0, slack=0).r_min == SURE


def test_too_few_samples_are_undecided_with_the_reason():
    verdict = judge_memory(samples(np.arange(47) * 1e7, np.arange(1, 48)))
    assert (verdict.verdict, verdict.r_min, verdict.floors) == ("UNDECIDED", None, ())
    assert "47 samples are too few" in verdict.reason
    assert judge_counts([], "fds").verdict == "UNDECIDED"


def test_samples_out_of_order_are_refused():
    with pytest.raises(ValueError, match="order"):
        judge_memory(samples(np.zeros(60), np.arange(60)[::-1]))


CALLS = np.arange(1, 61) * 5
COUNTS = ["fds", "threads", "children", "files"]


@pytest.mark.parametrize("resource", COUNTS)
@pytest.mark.parametrize("every", [1, 10, 30])
def test_one_leaked_count_in_some_calls_is_found_in_300_calls(resource, every):
    verdict = judge_counts(samples(20 + CALLS // every, CALLS, resource), resource)
    assert (verdict.resource, verdict.verdict) == (resource, "LEAK")


def test_a_descriptor_leak_is_found_among_descriptors_that_come_and_go():
    busy = [np.random.default_rng(seed).integers(0, 4, 60) for seed in range(TRACES)]
    verdicts = [
        judge_counts(samples(20 + churn + CALLS // 10, CALLS, "fds"), "fds").verdict for churn in busy
    ]
    assert verdicts.count("LEAK") >= 0.95 * TRACES
    assert "CLEAN" not in verdicts


@pytest.mark.parametrize("resource", COUNTS)
def test_counts_that_come_and_go_are_no_leak(resource):
    for seed in range(TRACES):
        busy = np.random.default_rng(seed).integers(0, 8, 60)
        assert judge_counts(samples(20 + busy, CALLS, resource), resource).verdict == "CLEAN"


def test_a_pool_that_fills_early_and_three_late_descriptors_are_no_leak():
    pool = np.minimum(CALLS // 2, 32)
    late = 20 + (CALLS > 100) + (CALLS > 190) + (CALLS > 290)
    assert judge_counts(samples(pool, CALLS, "threads"), "threads").verdict == "CLEAN"
    assert judge_counts(samples(late, CALLS, "fds"), "fds").verdict != "LEAK"


def test_a_log_that_grows_is_told_from_one_that_is_rotated():
    assert judge_counts(samples(CALLS * 20_000, CALLS, "file_bytes"), "file_bytes").verdict == "LEAK"
    assert (
        judge_counts(samples(CALLS * 20_000 % 1_500_000, CALLS, "file_bytes"), "file_bytes").verdict
        == "CLEAN"
    )


def test_mann_kendall_is_exact():
    assert mann_kendall_p(np.arange(5.0)) == pytest.approx(1 / 120)
    assert mann_kendall_p(np.array([0.0, 1, 3, 2, 4])) == pytest.approx(5 / 120)
    assert mann_kendall_p(np.arange(5.0)[::-1]) == 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 1 << 40), min_size=48, max_size=200),
    st.sampled_from([None, *COUNTS, "file_bytes"]),
    st.integers(1, 1000),
)
def test_constant_and_falling_series_are_never_a_leak(values, resource, spacing):
    calls = np.arange(1, len(values) + 1) * spacing
    for series in (sorted(values, reverse=True), [values[0]] * len(values)):
        trace = samples(series, calls, resource or "rss_anon")
        verdict = judge_counts(trace, resource) if resource else judge_memory(trace)
        assert verdict.verdict == "CLEAN"


def test_what_a_process_takes_up_at_first_is_no_suspicion_in_a_short_run_and_a_leak_is_in_a_long_one() -> (
    None
):
    short = [Sample(call, 0.0, blocks=10_000 + 4 * call) for call in range(1, 101)]
    long = [Sample(40 * call, 0.0, blocks=10_000 + 40 * 4 * call) for call in range(1, 101)]
    told = [
        judge_inside(samples, {"blocks": 0.9}, slack={"blocks": 400.0})[0].verdict
        for samples in (short, long)
    ]
    assert told == ["CLEAN", "LEAK"]
