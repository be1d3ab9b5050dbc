"""Evidence: capped, thinned without losing a peak, and written below the run's own folder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from certify.record.evidence import MAX_PICTURES, MAX_POINTS, MAX_TEXT, EvidenceBox, thin
from certify.record.results import Picture, Series, Text, Value

curves = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=1500).map(
    lambda values: [(float(number), value) for number, value in enumerate(values)]
)


@given(curves, st.integers(2, 400))
def test_thinning_keeps_the_extremes_the_order_and_the_limit(
    points: list[tuple[float, float]], limit: int
) -> None:
    kept = thin(points, limit)
    assert len(kept) <= limit
    assert set(kept) <= set(points)
    assert list(kept) == sorted(kept)
    heights = [y for _, y in points]
    assert {min(heights), max(heights)} <= {y for _, y in kept}


@given(curves)
def test_a_short_curve_is_kept_whole(points: list[tuple[float, float]]) -> None:
    assert list(thin(points, len(points))) == points


def test_a_single_peak_among_thousands_of_points_stays() -> None:
    points = [(float(number), 0.0) for number in range(10_000)]
    points[6543] = (6543.0, 1.0)
    kept = thin(points)
    assert (6543.0, 1.0) in kept
    assert len(kept) <= MAX_POINTS


def test_a_curve_keeps_all_points_in_its_file(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "leak.memory")
    points = [(float(number), number / 7) for number in range(1000)]
    box.curve("Open files & more", "calls", "files", points, "CLEAN")
    (series,) = box.items
    assert isinstance(series, Series)
    assert series.file == "evidence/leak.memory-open-files-more.csv"
    with (tmp_path / series.file).open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["calls", "files"]
    assert [(float(x), float(y)) for x, y in rows] == points
    assert len(series.points) <= MAX_POINTS


def test_a_curve_without_points_is_kept(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "leak.memory")
    box.curve("memory", "calls", "MiB", [])
    assert isinstance(box.items[0], Series)
    assert box.items[0].points == ()


def test_a_picture_is_stored_with_its_very_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
    box = EvidenceBox(tmp_path, "sdk.same-seed")
    box.picture("first", pixels, "one")
    (picture,) = box.items
    assert isinstance(picture, Picture)
    assert (picture.width, picture.height, picture.caption) == (40, 24, "one")
    with Image.open(tmp_path / picture.file) as stored:
        assert np.array_equal(np.asarray(stored.convert("RGB")), pixels)


def test_pictures_are_capped_and_each_has_its_own_file(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "mark.every-image")
    for number in range(MAX_PICTURES + 5):
        box.picture(f"{number}", np.zeros((8, 8, 3), np.uint8))
    files = [item.file for item in box.items if isinstance(item, Picture)]
    assert len(files) == len(set(files)) == MAX_PICTURES
    assert len(list((tmp_path / "evidence").iterdir())) == MAX_PICTURES


@pytest.mark.parametrize("length", [MAX_TEXT, MAX_TEXT + 1, 10 * MAX_TEXT])
def test_text_is_capped_and_says_so(tmp_path: Path, length: int) -> None:
    box = EvidenceBox(tmp_path, "a.b")
    box.text("log", "x" * length)
    (text,) = box.items
    assert isinstance(text, Text)
    assert text.text.endswith("(cut)") == (length > MAX_TEXT)
    assert len(text.text) <= MAX_TEXT + 10


def test_values_need_no_folder(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "a.b")
    box.value("requests", 3, "calls")
    assert box.items == [Value(name="requests", value=3, unit="calls")]
    assert not (tmp_path / "evidence").exists()
