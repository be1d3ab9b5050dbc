"""What is shown of a candidate's text is one harmless line."""

from hypothesis import given
from hypothesis import strategies as st

from certify.instruments.findings import MAX_SNIPPET, Finding, safe


@given(st.text(max_size=400))
def test_any_text_is_shown_on_one_line_that_moves_nothing(text):
    shown = safe(text)
    assert shown.isprintable()
    assert len(shown) <= 12 * (MAX_SNIPPET + 1)


def test_a_long_text_is_cut_and_says_so():
    assert safe("x" * 500) == "x" * MAX_SNIPPET + "…"
    assert safe("x" * MAX_SNIPPET) == "x" * MAX_SNIPPET


def test_letters_of_all_scripts_stay_as_they_are():
    text = "水墨 مرحبا é 🙂"
    assert safe(text) == text


def test_a_finding_of_a_file_as_a_whole_has_no_line():
    found = Finding("a.bin", 0, "native-undeclared", "this is an ELF binary")
    assert str(found) == "a.bin: this is an ELF binary"
    assert found.told == "[A] a.bin: this is an ELF binary (native-undeclared)"
