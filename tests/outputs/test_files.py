"""Files are replaced, whatever stands in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from certify.outputs.files import replace_file
from certify.record.evidence import EvidenceBox
from certify.record.journal import Journal


def test_a_file_is_replaced_in_one_piece_and_nothing_else_is_left(tmp_path: Path) -> None:
    for text in ("first", "second, ink ✓"):
        replace_file(tmp_path / "results.json", text)
        assert (tmp_path / "results.json").read_text("utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").stat().st_mode & 0o022 == 0


def test_a_planted_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine", "utf-8")
    (tmp_path / "report.html").symlink_to(precious)
    replace_file(tmp_path / "report.html", "report")
    assert precious.read_text("utf-8") == "mine"
    assert not (tmp_path / "report.html").is_symlink()


def test_nothing_is_left_where_it_cannot_be_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):
        replace_file(tmp_path / "report.html", "report")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_journal_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "journal.ndjson").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        Journal(tmp_path / "journal.ndjson")
    assert not (tmp_path / "elsewhere").exists()


def test_evidence_is_not_written_through_links(tmp_path: Path) -> None:
    run, precious = tmp_path / "run", tmp_path / "precious"
    precious.mkdir()
    run.mkdir()
    (run / "evidence").symlink_to(precious)
    box = EvidenceBox(run, "made.up")
    box.picture("first", np.zeros((8, 8, 3), np.uint8))
    (run / "evidence" / "made.up-memory.csv").symlink_to(precious / "memory.csv")
    box.curve("memory", "calls", "MiB", [(0, 1), (1, 2)])
    assert list(precious.iterdir()) == []
    assert sorted(path.name for path in (run / "evidence").iterdir()) == [
        "made.up-1.webp",
        "made.up-memory.csv",
    ]
