"""The status line of a running soak: verdict so far, memory curve, growth rate, smallest detectable leak."""

from __future__ import annotations

from collections.abc import Sequence

from certify.instruments.leaks.judge import amount, worst
from certify.measure.soak.segment import Segment

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 8


def status_line(segment: Segment) -> str:
    """`CLEAN ▁▂▂▂▂▂▂▂ 0 B a call, sees 1.2 KiB, `; empty before there are enough samples."""
    memory = segment.memory
    if memory.r_min is None:
        return ""
    curve = spark([sample.memory for sample in segment.samples])
    rates = f"{amount(memory.rate, 'memory')} a call, sees {amount(memory.r_min, 'memory')}"
    return f"{worst(segment.verdicts)} {curve} {rates}, "


def spark(values: Sequence[float], width: int = WIDTH) -> str:
    """The curve in `width` characters, from the lowest value to the highest; flat where they are equal."""
    if not values:
        return ""
    places = [values[round(index * (len(values) - 1) / max(1, width - 1))] for index in range(width)]
    low, span = min(places), max(places) - min(places)
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1)) if span else 0] for value in places)
