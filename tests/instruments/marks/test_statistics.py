"""How sure one can be, in figures that can be looked up."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from certify.instruments.marks.pixels.payloads import payload_bits
from certify.instruments.marks.pixels.statistics import (
    agreement,
    binomial_tail,
    bits_needed,
    combined,
    sequential,
    unmarked_bound,
)

PAYLOAD = np.random.default_rng(8).permutation([False, True] * 32)


@pytest.mark.parametrize(
    ("n", "alone", "hundred", "ten_thousand"),
    [
        (32, 30, 31, 33),  # 33 of 32: such a word proves nothing
        (48, 41, 43, 45),
        (56, 46, 49, 51),
        (64, 51, 54, 57),
        (96, 72, 76, 79),
        (136, 96, 101, 105),
        (256, 167, 173, 179),
    ],
)
def test_how_many_bits_must_agree(n, alone, hundred, ten_thousand):
    assert [bits_needed(n, tried) for tried in (1, 100, 10_000)] == [alone, hundred, ten_thousand]


def test_the_tail_is_a_probability_and_falls():
    assert binomial_tail(0, 10) == 1.0
    assert binomial_tail(10, 10) == pytest.approx(2**-10)
    assert binomial_tail(11, 10) == 0.0
    assert binomial_tail(3, 20, 0.05) == pytest.approx(0.0755, abs=1e-4)


def test_the_tail_equals_the_exact_sum_of_whole_numbers():
    for n in (32, 64, 136, 1000):
        for k in (n // 2, n * 3 // 4, n - 1):
            exact = Fraction(sum(comb(n, i) for i in range(k, n + 1)), 2**n)
            assert binomial_tail(k, n) == pytest.approx(float(exact), rel=1e-9)


def test_many_images_have_a_bound_too():
    assert unmarked_bound(100_000, 3) == pytest.approx(7.75e-5, rel=0.01)


def test_both_polarities_are_paid_for():
    bits = PAYLOAD.copy()
    bits[51:] = ~bits[51:]
    found = agreement(bits, PAYLOAD)
    assert (found.k, found.n, found.hypotheses, found.inverted) == (51, 64, 2, False)
    assert found.p_value == 2 * binomial_tail(51, 64)
    assert agreement(~bits, PAYLOAD).inverted


def test_a_short_word_is_proved_by_many_pictures():
    assert combined([1e-3]) == pytest.approx(1e-3)
    assert combined([1e-3, 1e-3, 1e-3]) < 1e-6
    # Two degrees a picture, so for two of them P = q (1 - ln q), q the product.
    assert combined([0.05, 0.05]) == pytest.approx(0.0025 * (1 - np.log(0.0025)))


def test_pictures_that_say_nothing_prove_nothing_together():
    assert combined([]) == combined([1.0] * 50) == 1.0
    assert combined(np.random.default_rng(3).uniform(size=400)) > 1e-3
    assert combined([1e-310] * 3) == 0.0


def test_the_bound_on_unmarked_pictures():
    assert unmarked_bound(0) == 1.0
    assert unmarked_bound(59) == pytest.approx(0.05, abs=1e-3)
    assert unmarked_bound(299) == pytest.approx(0.01, abs=1e-4)
    assert unmarked_bound(59, confidence=0.99) > unmarked_bound(59)
    # Clopper and Pearson's one-sided 95 % bound of 1 in 20.
    assert unmarked_bound(20, 1) == pytest.approx(0.2161, abs=1e-3)
    assert unmarked_bound(5, 5) == 1.0


def test_a_bad_plugin_is_known_after_few_images():
    assert (sequential([False] * 9).outcome, sequential([False] * 9).after) == ("bad", 2)
    assert (sequential([True] * 99).outcome, sequential([True] * 99).after) == ("good", 49)
    assert sequential([True] * 10).outcome == "open"
    assert sequential([]).after == 0


def test_a_payload_may_be_hex():
    assert np.array_equal(payload_bits("b3ec907bb19e")[:8], [1, 0, 1, 1, 0, 0, 1, 1])
    assert payload_bits("B3EC907BB").size == 36
