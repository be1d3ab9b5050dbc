"""Licence texts against SPDX's templates: whole, a slip of the pen, altered, another's."""

from __future__ import annotations

import json
import lzma
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.licences.alignment import aligned
from certify.instruments.licences.texts import family, identified, is_checkable, matches_text, template
from certify.instruments.licences.words import normalise

ROOT = Path(__file__).parents[3]
RAIL = (ROOT / "examples" / "inkwash" / "LICENSE-MODEL").read_text(encoding="utf-8")
MIT = (ROOT / "tests" / "defects" / "sound" / "LICENSE").read_text(encoding="utf-8")
APACHE = (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("identifier", "text"),
    [("MIT", MIT), ("Apache-2.0", APACHE), ("CreativeML-OpenRAIL-M", RAIL), ("mit", MIT)],
)
def test_a_whole_text_matches_with_a_full_score(identifier, text):
    match = matches_text(identifier, text)
    assert (match.state, match.score, match.missing, match.foreign) == ("matches", 1.0, (), ())


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.upper(),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: " ".join(text.split()),
        lambda text: "".join(f" * {line}\n" for line in text.splitlines()),
        lambda text: text.replace('"', "\u201c"),
        lambda text: text.replace('"', "&quot;"),
        lambda text: f"# My plugin\n\nSome words before.\n\n{text}\n\nSome words after.",
        lambda text: text.replace("2026 the sd-certify authors", "2019-2024 Jane Doe and others"),
        lambda text: text.replace("license", "licence"),
    ],
)
def test_layout_names_and_spelling_do_not_count(changed):
    assert matches_text("MIT", changed(MIT)).state == "matches"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hereby granted", "hereby not granted"),
        ("free of charge", "for a fee"),
        ("sublicense, ", ""),
        ("without restriction", "with restrictions"),
        ("to deal", "only to deal"),
        ("Permission is hereby granted", "Permission is hereby granted until revoked"),
    ],
)
def test_a_word_that_weighs_makes_another_licence(old, new):
    assert old in MIT
    match = matches_text("MIT", MIT.replace(old, new, 1))
    assert match.state == "differs"
    assert match.missing or match.foreign


@pytest.mark.parametrize(
    "addition",
    [
        "The Software is for non-commercial use only.",
        "This may not be sold.",
        "The Commons Clause applies.",
        "For research purposes only.",
        "No commercial use.",
    ],
)
def test_a_restriction_after_a_free_licence_differs(addition):
    match = matches_text("MIT", f"{MIT}\n{addition}")
    assert match.state == "differs"
    assert match.foreign


def test_a_sentence_that_allows_both_is_no_restriction():
    assert matches_text("MIT", MIT + "\nUse it for commercial or non-commercial work.").state == "matches"


def test_a_misspelt_word_is_near_and_no_more():
    match = matches_text("Apache-2.0", APACHE.replace("perpetual", "perpetuall", 1))
    assert match.state == "near"
    assert 0.98 < match.score < 1


def test_a_clause_that_was_cut_differs_and_is_quoted():
    match = matches_text("MIT", MIT[: MIT.index("THE SOFTWARE IS")])
    assert match.state == "differs"
    assert 0.3 < match.score < 0.8
    assert any("provided as is" in part for part in match.missing)


@pytest.mark.parametrize("identifier", ["Apache-2.0", "GPL-3.0-only", "BSD-3-Clause", "ISC", "CC-BY-4.0"])
def test_another_licences_text_differs_by_far(identifier):
    match = matches_text(identifier, MIT)
    assert match.state == "differs"
    assert match.score < 0.6


def test_two_copies_for_two_authors_are_read_in_parts():
    other = MIT.replace("the sd-certify authors", "Jane Doe")
    assert matches_text("MIT", f"{MIT}\n---\nThe icons:\n{other}").state == "matches"


def test_the_two_rails_are_told_apart_by_title_and_paragraph_7():
    assert matches_text("OpenRAIL++-M", RAIL).state == "differs"
    assert matches_text("OpenRAIL++-M", RAIL.replace("Open RAIL-M", "Open RAIL++-M")).state == "differs"
    assert identified(RAIL)[0] == ("CreativeML-OpenRAIL-M", 1.0)


def test_the_rail_without_attachment_a_differs():
    match = matches_text("CreativeML-OpenRAIL-M", RAIL[: RAIL.rindex("Attachment A")])
    assert match.state == "differs"
    assert any("attachment a" in part for part in match.missing)


def test_a_text_is_found_again_among_all_licences():
    assert identified(MIT)[0] == ("MIT", 1.0)
    assert identified(APACHE)[0] == ("Apache-2.0", 1.0)
    assert identified("All rights reserved.") == ()
    assert identified("") == ()


def test_a_creative_commons_licence_may_be_named_by_its_address():
    notice = "These weights are under https://creativecommons.org/licenses/by/4.0/."
    assert matches_text("CC-BY-4.0", notice).state == "matches"
    assert matches_text("CC-BY-NC-4.0", notice).state == "differs"
    assert matches_text("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/").state == "matches"
    two = notice + " https://creativecommons.org/licenses/by-nc/4.0/"
    assert matches_text("CC-BY-4.0", two).state == "differs"
    assert identified(notice) == (("CC-BY-4.0", 1.0),)
    assert identified("https://creativecommons.org/licenses/by/9.9/") == ()


def test_an_unknown_licence_is_not_checkable_and_so_no_match():
    assert matches_text("LicenseRef-Own", MIT).state == "not-checkable"
    assert not is_checkable("LicenseRef-Own")


@pytest.mark.parametrize("name", ["GPL-3.0-only", "GPL-3.0-or-later", "GPL-3.0", "GPL-3.0+", "gpl-3.0-ONLY"])
def test_only_and_or_later_have_the_same_text(name):
    assert family(name).lower() == "gpl-3.0"
    assert is_checkable(name)


def test_every_template_can_be_read_and_has_words_that_must_be_there():
    data = ROOT / "certify" / "instruments" / "data" / "spdx.json.xz"
    rows = json.loads(lzma.decompress(data.read_bytes()))
    assert len(rows) > 600
    for name, row in rows.items():
        read = template(name)
        assert any(read.required), name
        assert len(read.words) == len(read.required)
        assert row["template"].count("{") == row["template"].count("}"), name


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=400), st.sampled_from(["MIT", "CC-BY-4.0", "CreativeML-OpenRAIL-M", "ISC"]))
def test_any_text_is_judged_without_an_exception(text, identifier):
    match = matches_text(identifier, text)
    assert match.state == "differs"
    assert 0 <= match.score <= 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 160), st.integers(1, 12))
def test_no_cut_out_of_the_body_goes_unseen(at, length):
    words = MIT.split()
    begin = words.index("Permission") + at
    if begin + length >= len(words):
        begin = len(words) - length - 1
    match = matches_text("MIT", " ".join(words[:begin] + words[begin + length :]))
    # The names of the thing and of its authors may be anything, also nothing; letters may be a list's.
    gone = {word.strip('."(),').lower() for word in words[begin : begin + length]}
    free = {"software", "documentation", "files", "associated", "this", "and", "the", "is", "a", "or"}
    free |= {"authors", "copyright", "holders"}
    assert match.state != "matches" or gone <= free


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd"), max_size=40))
def test_aligned_words_are_equal_and_in_order(left, right):
    pairs = aligned(left, right)
    assert all(left[one] == right[other] for one, other in pairs)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))


def test_equal_sequences_are_aligned_whole():
    words = normalise(APACHE).split()
    assert aligned(words, words) == [(at, at) for at in range(len(words))]


def test_sequences_of_nothing_in_common_cost_little():
    assert aligned(["a"] * 20_000, ["b"] * 20_000) == []


@pytest.mark.parametrize(
    ("old", "new", "quote"),
    [
        (
            "hereby granted",
            "hereby not granted",
            "permission is hereby [added: not] granted free of charge to",
        ),
        ("free of charge, ", "", "permission is hereby granted [missing: free of charge] to any person"),
        (
            "WITHOUT WARRANTY",
            "WITH WARRANTY",
            "is provided as is [missing: without, added: with] warranty of",
        ),
        ("sublicense, ", "", "[missing: sublicense]"),
    ],
)
def test_a_change_is_quoted_in_the_words_around_it(old, new, quote):
    assert old in MIT
    first = matches_text("MIT", MIT.replace(old, new, 1)).quotes[0]
    assert quote in first


def test_an_added_restriction_is_quoted_where_it_stands():
    quotes = matches_text("MIT", MIT + "\nThis software is for personal use only, my friend.\n").quotes
    assert "this software is for [added: personal use only] my friend" in quotes[0]


def test_what_turns_a_sentence_round_is_quoted_before_slips():
    slips = MIT.replace("furnished", "furnishd").replace("substantial", "substancial")
    assert (
        "[added: not]" in matches_text("MIT", slips.replace("hereby granted", "hereby not granted")).quotes[0]
    )


def test_a_heading_of_common_words_is_no_part_of_the_licence():
    assert (
        matches_text("MIT", "This is granted to any person by permission of its authors.\n\n" + MIT).quotes
        == ()
    )
