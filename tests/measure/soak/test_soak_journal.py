"""The soak's own record: what a crash, a cut and a change of it come to."""

from __future__ import annotations

import errno
import json
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certify.instruments.leaks.judge import LeakVerdict, Sample
from certify.measure.soak.attribution import Attribution
from certify.measure.soak.journal import INTERRUPTED, START, Altered, SoakJournal, read_lines
from certify.measure.soak.segment import Segment
from certify.sandbox.host.replies import AllocationSite

SAMPLES = [
    Sample(10 * number, 0.5 * number, rss_anon=1 << 28, fds=9, errors=number) for number in range(1, 9)
]


def whole(count: int = 8) -> Segment:
    return Segment(
        "real",
        aim=4.0,
        began=1_700_000_000.0,
        samples=SAMPLES[:count],
        calls=80,
        seconds=4.0,
        whole=True,
        capped=LeakVerdict("fds", "LEAK", 1.0, None, "too many", ()),
        follows={"fds": {"refused": 1.0, "unique": 0.0}},
        attribution=Attribution(
            {"fds": [("/plugin/log", 3)]}, [AllocationSite(place="a.py:3", count=2, bytes=9)], 20, 7
        ),
    )


def write(path: Path, *segments: Segment, end: bool = True) -> None:
    with closing(SoakJournal(path)) as journal:
        for segment in segments:
            journal.begin(segment, pid=7, started=1.5)
            for sample in segment.samples:
                journal.sample(sample)
            if end or segment is not segments[-1]:
                journal.end(segment)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "soak-real.ndjson"


def test_a_segment_comes_back_as_it_was(path: Path) -> None:
    write(path, whole())
    with closing(SoakJournal(path)) as journal:
        assert journal.segments == [whole()]


def test_a_segment_without_an_end_was_interrupted_after_its_last_sample(path: Path) -> None:
    write(path, whole(), whole(5), end=False)
    with closing(SoakJournal(path)) as journal:
        first, second = journal.segments
    assert first.whole
    assert not second.whole
    assert second.ended == INTERRUPTED
    assert second.samples == SAMPLES[:5]
    assert (second.calls, second.seconds, second.errors) == (50, 2.5, 5)


def test_a_cut_at_any_byte_costs_the_last_line_alone(path: Path) -> None:
    write(path, whole(3))
    data = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data)):
        path.write_bytes(data[:size])
        lines, kept = read_lines(path)
        assert len(lines) == sum(end <= size for end in ends)
        assert kept == max((end for end in ends if end <= size), default=0)


def test_what_is_cut_short_is_taken_away_and_the_chain_goes_on(path: Path) -> None:
    write(path, whole(3), end=False)
    path.write_bytes(path.read_bytes()[:-5])
    write(path, whole())
    lines, size = read_lines(path)
    assert [line["kind"] for line in lines] == ["begin", "sample", "sample", "begin", *["sample"] * 8, "end"]
    assert size == path.stat().st_size


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_byte_that_was_changed_is_seen(path: Path, data: st.DataObject) -> None:
    path.unlink(missing_ok=True)
    write(path, whole(3))
    text = bytearray(path.read_bytes())
    last = text.rstrip(b"\n").rfind(b"\n") + 1
    place = data.draw(st.integers(0, last - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(text))
    with pytest.raises(Altered):
        read_lines(path)


def test_a_line_that_was_taken_out_is_seen(path: Path) -> None:
    write(path, whole(4))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(Altered, match=":3: does not follow"):
        SoakJournal(path)


def test_the_head_is_the_last_hash(path: Path) -> None:
    with closing(SoakJournal(path)) as journal:
        assert journal.head == START
        journal.begin(whole())
        assert journal.head == json.loads(path.read_text().splitlines()[-1])["chain"] != START


def test_a_full_disk_is_no_line_and_no_verdict(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SoakJournal(path)) as journal:
        journal.begin(whole())

        class Full:
            def __init__(self, file: object) -> None:
                self.close, self.fileno = file.close, file.fileno  # type: ignore[attr-defined]

            def write(self, data: bytes) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(journal, "_file", Full(journal._file))
        with pytest.raises(OSError, match="No space"):
            journal.sample(SAMPLES[0])
    assert len(read_lines(path)[0]) == 1


def test_samples_are_on_the_disk_after_ten_seconds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[float] = []
    moments = [0.0]
    monkeypatch.setattr("certify.measure.soak.journal.os.fsync", lambda number: synced.append(moments[-1]))
    with closing(SoakJournal(path, lambda: moments[-1])) as journal:
        journal.begin(whole())
        for moment in (3.0, 9.0, 11.0, 15.0, 21.5):
            moments.append(moment)
            journal.sample(SAMPLES[0])
    assert synced == [0.0, 11.0, 21.5, 21.5]
