"""The journal: whole after each write, readable after a cut, and honest about damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from certify.record.journal import Journal, read_journal
from certify.record.results import Picture, RequirementResult, Series, Text, Value
from certify.terms.outcomes import Outcome
from tests.made_up import row


def test_each_event_is_a_whole_line_on_disk_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    with Journal(path) as journal:
        for number in range(5):
            journal.write("claim", text=f"Nr. {number}: 画\n\u2028 é")
            data = path.read_bytes()
            assert data.endswith(b"\n")
            assert data.count(b"\n") == number + 1
            assert [event["text"][:5] for event in read_journal(path)] == [
                f"Nr. {n}" for n in range(number + 1)
            ]


def test_an_event_carries_its_name_and_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.write("end", seconds=1.5)
    (event,) = read_journal(tmp_path / "j")
    assert (event["event"], event["seconds"]) == ("end", 1.5)
    assert event["time"] > 1.7e9


def test_what_json_does_not_know_is_written_as_text(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.write("run", order={"out": Path("/x")}, text="\ud800")
    (event,) = read_journal(tmp_path / "j")
    assert (event["order"]["out"], event["text"]) == (str(Path("/x")), "\ud800")


def test_a_journal_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for name in ("run", "end"):
        with Journal(tmp_path / "j") as journal:
            journal.write(name)
    assert [event["event"] for event in read_journal(tmp_path / "j")] == ["run", "end"]


def three_lines(tmp_path: Path) -> Path:
    path = tmp_path / "j"
    with Journal(path) as journal:
        for number in range(3):
            journal.write("claim", text=f"画 {number}")
    return path


def test_a_last_line_that_is_cut_anywhere_is_left_out(tmp_path: Path) -> None:
    path = three_lines(tmp_path)
    data = path.read_bytes()
    start = data.rindex(b"\n", 0, len(data) - 1) + 1
    for cut in range(start, len(data) - 1):
        path.write_bytes(data[:cut])
        assert [event["text"] for event in read_journal(path)] == ["画 0", "画 1"], cut


def test_an_empty_journal_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"")
    assert read_journal(tmp_path / "j") == []


@pytest.mark.parametrize("damage", [b"{cut", b"\xff\xfe", b"5", b'"text"', b"[1]", b"null"])
def test_damage_in_the_middle_is_told_with_its_line(tmp_path: Path, damage: bytes) -> None:
    path = three_lines(tmp_path)
    lines = path.read_bytes().split(b"\n")
    lines[1] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=r"j:2: "):
        read_journal(path)


def test_a_damaged_last_line_that_was_ended_is_told(tmp_path: Path) -> None:
    path = three_lines(tmp_path)
    path.write_bytes(path.read_bytes() + b"{cut\n")
    with pytest.raises(ValueError, match=r"j:4: "):
        read_journal(path)


def test_a_missing_journal_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        read_journal(tmp_path / "nowhere")


kinds_of_evidence = st.one_of(
    st.builds(Value, name=st.text(), value=st.booleans() | st.integers() | st.text(), unit=st.text()),
    st.builds(Text, name=st.text(), text=st.text()),
    st.builds(Picture, name=st.text(), file=st.text(), width=st.integers(1), height=st.integers(1)),
    st.builds(
        Series,
        name=st.text(),
        x_label=st.text(),
        y_label=st.text(),
        points=st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), max_size=3).map(tuple),
    ),
)


@settings(max_examples=40)
@given(st.sampled_from(list(Outcome)), st.lists(kinds_of_evidence, max_size=4))
def test_a_result_read_back_from_json_is_the_same(outcome: Outcome, evidence: list[Value]) -> None:
    result = row(outcome, evidence=tuple(evidence), message="画")
    text = json.dumps(result.model_dump(mode="json"))
    assert RequirementResult.model_validate(json.loads(text)) == result


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValidationError):
        RequirementResult.model_validate({"id": "a", "suite": "b", "level": "must", "outcome": "fine"})


def test_a_journal_knows_whether_its_file_was_altered(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.ndjson") as journal:
        journal.write("run", name="a")
        assert not journal.altered()
        with journal.path.open("ab") as other:
            other.write(b'{"event": "requirement", "id": "mark.every-image", "outcome": "passed"}\n')
        assert journal.altered()
        assert [event["event"] for event in journal.events] == ["run"]
