"""Collects the evidence of a requirement for the report."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from certify.record.results import Evidence, Overlay, Picture, Series, Text, Value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_TEXT = 8000
MAX_POINTS = 300
MAX_PICTURES = 12


class EvidenceBox:
    """Evidence of one requirement; files go to `<run>/evidence/`."""

    def __init__(self, run: Path, requirement: str) -> None:
        self.items: list[Evidence] = []
        self._run = run
        self._stem = requirement

    def value(self, name: str, value: str | int | float | bool, unit: str = "") -> None:
        self.items.append(Value(name=name, value=value, unit=unit))

    def text(self, name: str, text: str) -> None:
        cut = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " … (cut)"
        self.items.append(Text(name=name, text=cut))

    def picture(self, name: str, pixels: npt.NDArray[np.uint8], caption: str = "") -> None:
        """RGB pixels (height, width, 3), encoded here: the candidate's own files are never shown."""
        # Here, so that what reads files alone starts without it.
        from PIL import Image

        count = sum(isinstance(item, Picture) for item in self.items)
        if count >= MAX_PICTURES:
            return
        file = self._path(f"{count + 1}.webp")
        with file.open("xb") as stream:
            Image.fromarray(pixels, "RGB").save(stream, "WEBP", lossless=True)
        height, width = pixels.shape[:2]
        relative = file.relative_to(self._run).as_posix()
        self.items.append(Picture(name=name, file=relative, width=width, height=height, caption=caption))

    def curve(
        self,
        name: str,
        x_label: str,
        y_label: str,
        points: Sequence[tuple[float, float]],
        summary: str = "",
        overlays: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    ) -> None:
        """All points go to a CSV file, at most 300 to the report (with the extremes of each stretch);
        `overlays` are lines over the curve, by their names.
        """
        file = self._path(_slug(name) + ".csv")
        with file.open("x", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([x_label, y_label])
            writer.writerows(points)
        self.items.append(
            Series(
                name=name,
                x_label=x_label,
                y_label=y_label,
                points=thin(points),
                file=file.relative_to(self._run).as_posix(),
                summary=summary,
                overlays=tuple(
                    Overlay(name=name, points=tuple(line)) for name, line in (overlays or {}).items()
                ),
            )
        )

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """All rows go to a CSV file, which the report names."""
        file = self._path(_slug(name) + ".csv")
        with file.open("x", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(rows)
        self.value(name, file.relative_to(self._run).as_posix())

    def _path(self, ending: str) -> Path:
        """The path of a new file; an existing file or link there is removed, never followed."""
        folder = self._run / "evidence"
        if folder.is_symlink():
            folder.unlink()
        folder.mkdir(exist_ok=True)
        file = folder / f"{self._stem}-{ending}"
        file.unlink(missing_ok=True)
        return file


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def thin(points: Sequence[tuple[float, float]], limit: int = MAX_POINTS) -> tuple[tuple[float, float], ...]:
    """At most `limit` points: the lowest and the highest of each stretch, so that no peak is lost."""
    if len(points) <= limit:
        return tuple((float(x), float(y)) for x, y in points)
    kept: list[tuple[float, float]] = []
    for stretch in _stretches(points, limit // 2):
        low, high = min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])
        kept += sorted({(float(low[0]), float(low[1])), (float(high[0]), float(high[1]))})
    return tuple(kept)


def _stretches(points: Sequence[tuple[float, float]], count: int) -> Iterable[Sequence[tuple[float, float]]]:
    for index in range(count):
        piece = points[index * len(points) // count : (index + 1) * len(points) // count]
        if piece:
            yield piece
