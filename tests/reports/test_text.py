"""How text, figures and times are written."""

from __future__ import annotations

import pytest
from certify.reports.text import CUT, duration, moment, number, short, visible
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nnext", "plain\ttext\nnext"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\\x0db"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\x00\x9b", "\\x00\\x9b"),
        ("\u202egpj", "\\u202egpj"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("灯台 등대 маяк", "灯台 등대 маяк"),
    ],
)
def test_controls_are_written_out_and_letters_kept(text: str, shown: str) -> None:
    assert visible(text, 100) == shown


@given(st.text(st.characters(), max_size=50))
def test_visible_text_can_always_be_written_and_stays_short(text: str) -> None:
    shown = visible(text, 10)
    shown.encode("utf-8")
    assert len(shown) <= 10 * 10 + len(CUT)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1840, "1,840"),
        (0.123456, "0.1235"),
        (9.142, "9.142"),
        (3.0, "3"),
        (312.437, "312.4"),
        (12345.6, "12,346"),
        (True, "yes"),
        ("1 of 4", "1 of 4"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_readable(value: str | int | float | bool, shown: str) -> None:
    assert number(value) == shown


def test_an_integer_of_thousands_of_digits_is_told_by_its_size() -> None:
    assert number(-(10**5000)) == "-10^5000"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.042, "42 ms"), (3.94, "3.9 s"), (61, "1 min 1 s"), (86_400, "24 h"), (float("inf"), "unknown")],
)
def test_durations_are_readable(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_moment_is_given_in_utc() -> None:
    assert moment("2026-11-24T11:13:10Z") == "2026-11-24 11:13 UTC"
    assert moment("2026-11-24T13:13:10+02:00") == "2026-11-24 11:13 UTC"
    assert moment("yesterday") == "yesterday"


def test_a_digest_is_shortened_only_where_it_is_long() -> None:
    assert short("sha256:" + "ab" * 32) == "sha256:abababababab…"
    assert short("sha256:abcd") == "sha256:abcd"
