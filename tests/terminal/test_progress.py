"""What is shown while a run works: one safe line a requirement, and a sign of life."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from certify.plan.catalogue import load_catalogue
from certify.terminal.lines import log_line, sign
from certify.terminal.progress import Live, PlainLines, Silent, choose_progress
from certify.terminal.streams import say
from certify.terms.outcomes import Outcome
from tests.made_up import row

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@given(st.text(st.characters(), max_size=60) | st.text(":#\n\r \x1b[]|" + BIDI, max_size=60))
def test_safe_text_is_one_line_without_controls_bidi_or_ci_commands(text: str) -> None:
    shown = log_line(text, 1000)
    assert "::" not in shown
    assert "##" not in shown
    # The zero-width space is ours: it stands between the two signs of a command.
    kinds = {unicodedata.category(char) for char in shown.replace("\u200b", "")}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    "text",
    ["::error::x", ":::error", "::::set-output", "##vso[task]", "###[error]", "\x1b[2Jx", "a\nb", "a\r\nb"],
)
def test_commands_and_escapes_lose_their_force(text: str) -> None:
    assert not re.search(r"::|##|\x1b|[\r\n]", log_line(text))


def test_every_outcome_has_a_sign_of_its_own() -> None:
    assert len({sign(outcome) for outcome in Outcome}) == len(Outcome)


def test_plain_lines_print_one_line_a_requirement(capsys: pytest.CaptureFixture[str]) -> None:
    plain = PlainLines()
    plain.begin(3, 61.4)
    plain.start("a.b", "A and B")
    plain.finish(row(Outcome.PASSED, "a.b", message="not shown", seconds=0.25))
    plain.start("c.d", "C and D")
    plain.finish(row(Outcome.FAILED, "c.d", message="::error::x\nsecond line", seconds=2))
    plain.finish(row(Outcome.NOT_EVIDENCED, "e.f"))
    plain.end()
    assert capsys.readouterr().out.splitlines() == [
        "3 requirements, about 61 s",
        "[ 1/3] ✓ a.b  passed  (0.2 s)",
        "[ 2/3] ✗ c.d  failed: :\u200b:error:\u200b:x  (2.0 s)",
        "[ 3/3] ? e.f  not-evidenced  (0.0 s)",
    ]


def test_a_sign_of_life_comes_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    plain = PlainLines()
    told = []
    for second in range(0, 300, 5):
        now = 1000.0 + second
        plain.note(f"soak: {second} s")
        if capsys.readouterr().out:
            told.append(second)
    assert told == [65, 130, 195, 260]


def test_a_sign_of_life_waits_a_minute_after_any_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    plain = PlainLines()
    now = 59.0
    plain.finish(row())
    capsys.readouterr()
    now = 100.0
    plain.note("soak")
    assert not capsys.readouterr().out
    now = 120.0
    plain.note("\x1b[2Jsoak")
    assert capsys.readouterr().out == "  ... \\u{1b}[2Jsoak\n"


def test_the_live_display_shows_results_and_takes_markup_for_text() -> None:
    stream = io.StringIO()
    live = Live(Console(file=stream, force_terminal=True, width=120, color_system=None))
    live.begin(2, 10)
    live.start("a.b", "A and B")
    live.note("[/nothing] 3 calls")
    live.finish(row(Outcome.FAILED, "a.b", message="[red]broke[/nothing] \x1b[2J"))
    live.finish(row(Outcome.PASSED, "c.d", message="not shown"))
    live.end()
    shown = stream.getvalue()
    assert "✗ a.b  [red]broke[/nothing] \\u{1b}[2J" in shown
    assert "✓ c.d" in shown
    assert "not shown" not in shown


def frames(width: int, show: Callable[[Live], None]) -> list[str]:
    """Every state of the display on a terminal of `width` columns, without its escapes."""
    stream = io.StringIO()
    live = Live(Console(file=stream, force_terminal=True, width=width, color_system=None))
    live.begin(99, 86_400)
    show(live)
    live.end()
    shown = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", stream.getvalue())
    return [frame for frame in shown if frame.strip()]


@pytest.mark.parametrize("width", [80, Live.WIDE])
@pytest.mark.parametrize("note", ["", "3 calls", "a note that is far longer than the room for it", "画" * 40])
def test_the_live_display_fits_into_its_terminal(width: int, note: str) -> None:
    longest = max((row.id for row in load_catalogue().requirements), key=len)
    day = timedelta(days=1, hours=3)

    def show(live: Live) -> None:
        live._bar.tasks[0].start_time = live._bar.get_time() - day.total_seconds()
        live.start(longest, "")
        if note:
            live.note(note)
        live._bar.refresh()

    shown = frames(width, show)
    assert all(cell_len(frame) <= width and "…" not in frame for frame in shown)
    # One line a state: name, count and time stand in the same one.
    last = shown[-1]
    assert longest in last and "0/99" in last and "1 day, 3:00:00" in last
    assert note[:10] in last


class _Gone(io.StringIO):
    """A terminal or pipe whose reader is gone."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


GONE = [BrokenPipeError(errno.EPIPE, "gone"), OSError(errno.EIO, "hung up"), ValueError("closed file")]


@pytest.mark.parametrize("error", GONE)
def test_no_display_ends_a_run_whose_reader_goes_away(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    gone = _Gone(error)
    monkeypatch.setattr("sys.stdout", gone)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(gone, "isatty", lambda: True)
    live = choose_progress()
    assert isinstance(live, Live)
    for display in (PlainLines(), live):
        display.begin(2, 10)
        display.start("a.b", "A and B")
        display.note("x")
        display.finish(row(Outcome.FAILED, "a.b", message="broke"))
        display.end()
    say("last words")


def test_what_is_said_after_the_reader_went_away_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        say("read")
        assert os.read(reading, 100) == b"read\n"
        os.close(reading)
        say("not read")
        say("nor this")
        stream.write("and this neither")
        stream.flush()


@pytest.mark.parametrize("closed", [True, False])
def test_a_closed_or_missing_stdout_gets_plain_lines_that_go_nowhere(
    monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr("sys.stdout", stream if closed else None)
    say("nobody hears this")
    if not closed:
        assert isinstance(choose_progress(), PlainLines)


def test_words_for_stderr_go_there(capsys: pytest.CaptureFixture[str]) -> None:
    say("a mistake", sys.stderr)
    assert capsys.readouterr() == ("", "a mistake\n")


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.begin(1, 1)
    silent.start("a.b", "A and B")
    silent.note("x")
    silent.finish(row())
    silent.end()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "ci", "kind"), [(True, "", Live), (True, "1", PlainLines), (False, "", PlainLines)]
)
def test_the_live_display_is_for_terminals_that_are_no_ci_log(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, ci: str, kind: type
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("CI", ci)
    assert type(choose_progress()) is kind
