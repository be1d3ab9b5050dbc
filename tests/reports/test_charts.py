"""Curves: inside their frame, with round ticks, whatever the numbers."""

from __future__ import annotations

import math

import pytest
from certify.reports.charts import BOTTOM, LEFT, RIGHT, TOP, draw
from hypothesis import given
from hypothesis import strategies as st

from certify.record.results import Overlay, Series


def curve(*points: tuple[float, float], summary: str = "") -> Series:
    return Series(name="Memory", x_label="time (s)", y_label="memory (MiB)", points=points, summary=summary)


def places(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_a_straight_line_goes_from_corner_to_corner() -> None:
    chart = draw(curve((0, 0), (10, 100)))
    assert places(chart.line) == [(LEFT, BOTTOM), (RIGHT, TOP)]
    assert [tick.label for tick in chart.y_ticks] == ["0", "50", "100"]
    assert [tick.label for tick in chart.x_ticks] == ["0", "2", "4", "6", "8", "10"]


def test_noise_on_a_flat_curve_is_not_blown_up() -> None:
    chart = draw(curve((0, 300.0), (1, 300.001), (2, 300.0)))
    heights = [y for _, y in places(chart.line)]
    assert max(heights) - min(heights) < 1


def test_what_is_not_finite_is_left_out() -> None:
    chart = draw(curve((0, 1), (1, math.nan), (2, math.inf), (3, 2)))
    assert len(places(chart.line)) == 2
    assert len(chart.rows) == 2


def test_a_curve_without_points_says_so() -> None:
    chart = draw(curve())
    assert (chart.line, chart.summary) == ("", "No points were recorded.")


def test_a_summary_is_made_where_none_was_recorded() -> None:
    assert draw(curve((0, 312), (61, 328.25))).summary == (
        "memory (MiB) over time (s): starts at 312, ends at 328.2; lowest 312, highest 328.2; 2 points shown."
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.004), (-3.0, 5.0), (1e9, 2e9), (312.0, 312.4)])
def test_ticks_are_few_and_different(low: float, high: float) -> None:
    labels = [tick.label for tick in draw(curve((0, low), (1, high))).y_ticks]
    assert 2 <= len(labels) <= 7
    assert len(set(labels)) == len(labels)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=20))
def test_every_point_lies_in_the_frame(points: list[tuple[float, float]]) -> None:
    chart = draw(curve(*points))
    for x, y in places(chart.line):
        assert LEFT - 0.1 <= x <= RIGHT + 0.1
        assert TOP - 0.1 <= y <= BOTTOM + 0.1
    assert len(chart.x_ticks) <= 12
    assert len(chart.y_ticks) <= 12


def test_lines_over_a_curve_are_inside_the_frame_too() -> None:
    over = Overlay(name="budget", points=((5, 50), (10, 300), (7, math.inf)))
    chart = draw(curve((0, 0), (10, 100)).model_copy(update={"overlays": (over,)}))
    (drawn,) = chart.overs
    assert drawn.name == "budget"
    assert places(drawn.line) == [
        ((LEFT + RIGHT) / 2, pytest.approx(BOTTOM + (TOP - BOTTOM) / 6)),
        (RIGHT, TOP),
    ]
    assert [tick.label for tick in chart.y_ticks] == ["0", "100", "200", "300"]
