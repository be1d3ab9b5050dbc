"""Which evidence files get into a report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from certify.reports.pictures import PICTURE_LIMIT, REPORT_LIMIT, Album

from tests.reports.sample import png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "run"
    inside.mkdir()
    (tmp_path / "outside.png").write_bytes(png(8))
    (inside / "small.png").write_bytes(png(8))
    return inside


def test_a_picture_in_the_folder_becomes_a_data_address(folder: Path) -> None:
    assert Album(folder).inline("small.png").source.startswith("data:image/png;base64,")


@pytest.mark.parametrize("file", ["../outside.png", "gone.png", "", ".", "a\0b", "x" * 5000])
def test_a_file_that_is_not_in_the_folder_is_left_out(folder: Path, file: str) -> None:
    found = Album(folder).inline(file)
    assert not found.source
    assert "not a file in the run's folder" in found.note


def test_an_absolute_path_outside_is_left_out(folder: Path) -> None:
    assert not Album(folder).inline(str(folder.parent / "outside.png")).source


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_that_leads_out_is_left_out(folder: Path) -> None:
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    assert not Album(folder).inline("link.png").source


def test_a_picture_over_two_mebibytes_is_left_out(folder: Path) -> None:
    (folder / "large.png").write_bytes(png(8) + b"\0" * PICTURE_LIMIT)
    assert "over the limit of 2 MiB" in Album(folder).inline("large.png").note


def test_a_file_is_told_by_its_bytes_and_not_by_its_name(folder: Path) -> None:
    (folder / "page.png").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "is not a PNG" in Album(folder).inline("page.png").note


def test_pictures_stop_before_the_report_passes_its_limit(folder: Path) -> None:
    (folder / "big.png").write_bytes(png(8) + b"\0" * (PICTURE_LIMIT - 10_000))
    album = Album(folder)
    found = [album.inline("big.png") for _ in range(3)]
    assert [bool(one.source) for one in found] == [True, False, False]
    assert "the report would exceed 5 MB" in found[1].note
    assert album.inline("small.png").source
    assert sum(len(one.source) for one in found) < REPORT_LIMIT


@pytest.mark.parametrize(
    ("file", "address"),
    [("small.png", "small.png"), ("../outside.png", ""), ("javascript:alert(1)", ""), ("gone.csv", "")],
)
def test_only_a_file_in_the_folder_is_linked(folder: Path, file: str, address: str) -> None:
    assert Album(folder).link(file) == address


@pytest.mark.skipif(os.name == "nt", reason="no such file names on Windows")
def test_a_link_can_never_be_another_scheme(folder: Path) -> None:
    (folder / "javascript:alert(1)").write_bytes(b"")
    assert Album(folder).link("javascript:alert(1)") == "javascript%3Aalert%281%29"
