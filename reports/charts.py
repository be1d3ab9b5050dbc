"""The geometry of a curve: points and ticks in SVG units. `chart.svg.jinja` draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from certify.record.results import Series

from .text import number

# The SVG's view box and the frame inside it that holds the curve, in SVG units (pixels at full width).
WIDTH, HEIGHT = 640, 252
LEFT, RIGHT, TOP, BOTTOM = 62, 628, 40, 190

# The smallest span of an axis, as a share of the values, so that noise does not fill the full height.
_LEAST_SPAN = 0.01

# Larger values, infinities and NaN are not drawn.
_LARGEST = 1e100
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tick:
    at: str
    label: str


@dataclass(frozen=True)
class Over:
    """A line over the curve."""

    name: str
    line: Markup


@dataclass(frozen=True)
class Chart:
    """`line` is a polyline's `points`; it is empty where no drawable point was recorded."""

    name: str
    x_label: str
    y_label: str
    line: Markup
    end: tuple[str, str]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str
    rows: tuple[tuple[str, str], ...]
    file: str
    overs: tuple[Over, ...] = ()


def draw(series: Series) -> Chart:
    points = _drawable(series.points)
    rows = tuple((number(x, digits=6), number(y, digits=6)) for x, y in points)
    if not points:
        none = series.summary or "No points were recorded."
        return Chart(
            series.name, series.x_label, series.y_label, Markup(), ("", ""), (), (), none, (), series.file
        )
    x_axis = _axis([x for x, _ in points], count=6)
    overs = [(over.name, _drawable(over.points)) for over in series.overlays]
    heights = [y for _, line in overs for _, y in line]
    y_axis = _axis([*(y for _, y in points), *heights], count=4, rounded=True)
    at = _places(points, x_axis, y_axis)
    return Chart(
        name=series.name,
        x_label=series.x_label,
        y_label=series.y_label,
        line=_line(at),
        end=at[-1],
        x_ticks=x_axis.ticks(LEFT, RIGHT),
        y_ticks=y_axis.ticks(BOTTOM, TOP),
        summary=series.summary or _summary([y for _, y in points], series),
        rows=rows,
        file=series.file,
        overs=tuple(Over(name, _line(_places(line, x_axis, y_axis))) for name, line in overs if line),
    )


def _drawable(points: Points) -> Points:
    return tuple((x, y) for x, y in points if abs(x) < _LARGEST and abs(y) < _LARGEST)


def _places(points: Points, x_axis: _Axis, y_axis: _Axis) -> list[tuple[str, str]]:
    return [(x_axis.place(x, LEFT, RIGHT), y_axis.place(y, BOTTOM, TOP)) for x, y in points]


def _line(places: list[tuple[str, str]]) -> Markup:
    return Markup(" ".join(f"{x},{y}" for x, y in places))


def _summary(values: list[float], series: Series) -> str:
    low, high = number(min(values)), number(max(values))
    first, last = number(values[0]), number(values[-1])
    return (
        f"{series.y_label} over {series.x_label}: starts at {first}, ends at {last}; "
        f"lowest {low}, highest {high}; {len(values)} points shown."
    )


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    step: float

    def place(self, value: float, start: float, end: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{start + share * (end - start):.1f}".removesuffix(".0")

    def ticks(self, start: float, end: float) -> tuple[Tick, ...]:
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        places = max(0, -math.floor(math.log10(self.step) + 1e-9))
        values = [index * self.step for index in range(first, last + 1)]
        return tuple(Tick(self.place(value, start, end), _label(value, places)) for value in values)


def _label(value: float, places: int) -> str:
    if places > 4 or abs(value) >= 1e7:
        return f"{value:.3g}"
    return f"{value + 0.0:,.{places}f}"


def _axis(values: list[float], count: int, rounded: bool = False) -> _Axis:
    """An axis with about `count` round ticks; `rounded` widens it to whole steps."""
    low, high = min(values), max(values)
    least = max(abs(low), abs(high)) * _LEAST_SPAN
    least = least if least > 1 / _LARGEST else 1.0
    if high - low < least:
        middle = low / 2 + high / 2
        low, high = middle - least / 2, middle + least / 2
    step = _round_step((high - low) / count)
    if rounded:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return _Axis(low, high, step)


def _round_step(step: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next((factor * power for factor in (1, 2, 5) if step <= factor * power * (1 + 1e-9)), 10 * power)
