"""What is shown of a candidate's text is one harmless line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from certify.text import MAX_LINE, safe


@given(st.text(max_size=400))
def test_any_text_is_shown_on_one_line_that_moves_nothing(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    assert len(shown) <= 12 * (MAX_LINE + 1)


def test_a_long_text_is_cut_and_says_so() -> None:
    assert safe("x" * 500) == "x" * MAX_LINE + "…"
    assert safe("x" * 500, 60) == "x" * 60 + "…"
    assert safe("x" * MAX_LINE) == "x" * MAX_LINE
    assert safe(" " * 2_000_000) == "…"


def test_letters_of_all_scripts_stay_as_they_are() -> None:
    text = "水墨 مرحبا é 🙂"
    assert safe(text) == text


def test_escapes_stay_readable_and_white_space_is_one_space() -> None:
    assert safe("\x1b[31mred") == "\\u{1b}[31mred"
    assert safe("a\u202eb") == "a\\u{202e}b"
    assert safe("画  é\tß\nz") == "画 é ß z"
