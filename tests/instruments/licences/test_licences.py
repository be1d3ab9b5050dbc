"""Licence expressions, licence texts and the base model's terms."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.licences.identifiers import (
    check_expression,
    is_covered,
    is_non_commercial,
    read_text,
)
from certify.instruments.licences.model_terms import (
    base_terms,
    change_stated,
    of_edition,
    restrictions_passed_on,
)

RAIL = (Path(__file__).parents[3] / "examples" / "inkwash" / "LICENSE-MODEL").read_text(encoding="utf-8")
LATEST = (
    ", update the Model through electronic means, or modify the Output of the Model based on updates. "
    "You shall undertake reasonable efforts to use the latest version of the Model"
)
PLUS = RAIL.replace("CreativeML Open RAIL-M", "CreativeML Open RAIL++-M License").replace(LATEST, "")


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "mit",
        "Apache-2.0 OR MIT",
        "GPL-3.0-or-later",
        "GPL-2.0+",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "(MIT AND CC-BY-4.0) OR LicenseRef-Our-Own.1",
        "CreativeML-OpenRAIL-M",
        "OpenRAIL++-M",
        "BigScience-OpenRAIL-M",
        "MIT AND CreativeML-OpenRAIL-M",
    ],
)
def test_valid_expressions_have_no_problems(expression):
    assert check_expression(expression) == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("MIT License", '"MIT License" is no SPDX identifier'),
        ("Apache 2.0", 'Did you mean "Apache-2.0"'),
        ("MIT AND", "no licence expression"),
        ("(MIT", "no licence expression"),
        ("MIT/X11", "no licence expression"),
        ("Classpath-exception-2.0", "no SPDX identifier"),
        ("MIT WITH MIT", "no SPDX identifier"),
        ("LicenseRef-", "no SPDX identifier"),
        ("MIT OR " * 100 + "MIT", "at most 500"),
        ("(" * 400, "no licence expression"),
    ],
)
def test_invalid_expressions_are_told(expression, problem):
    problems = check_expression(expression)
    assert len(problems) == 1
    assert problem in problems[0]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_expression_is_judged_without_an_exception(expression):
    forms = r'the licence expression is empty$|this is no licence expression: .|".+" is no SPDX identifier'
    assert all(re.match(forms, problem, re.DOTALL) for problem in check_expression(expression))
    assert is_non_commercial(expression) in (True, False)


KNOWN = ("MIT", "apache-2.0", "OpenRAIL++-M", "LicenseRef-Ours")
UNKNOWN = ("Mine", "Apache-9.9", "LicenseRef-")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*KNOWN, *UNKNOWN]), st.sampled_from(["AND", "OR"])), min_size=1))
def test_each_unknown_identifier_is_a_problem_and_no_known_one_is(rows):
    rows = rows[:20]
    expression = " ".join(f"{name} {joint}" for name, joint in rows).rpartition(" ")[0]
    wrong = {name for name, _ in rows if name in UNKNOWN}
    problems = check_expression(expression)
    assert {problem.split('"')[1] for problem in problems} == wrong
    assert len(problems) == len(wrong)


@pytest.mark.parametrize(
    ("identifier", "forbids"),
    [
        ("CC-BY-NC-4.0", True),
        ("CC-BY-NC-SA-4.0", True),
        ("PolyForm-Noncommercial-1.0.0", True),
        ("LicenseRef-Flux-Non-Commercial", True),
        ("MIT AND CC-BY-NC-4.0", True),
        ("MIT OR CC-BY-NC-4.0", False),
        ("CC-BY-4.0", False),
        ("NCSA", False),
        ("CreativeML-OpenRAIL-M", False),
    ],
)
def test_licences_that_forbid_selling_are_known(identifier, forbids):
    assert is_non_commercial(identifier) is forbids


@pytest.mark.parametrize("model_type", ["v1.4", "v1.5"])
def test_the_whole_model_licence_passes(model_type):
    assert base_terms(RAIL, model_type) == []
    assert base_terms(RAIL.replace("\n", "\r\n"), model_type) == []


def test_the_plus_edition_passes_for_v2_alone():
    assert base_terms(PLUS, "v2.0") == []
    assert "another licence" in base_terms(PLUS, "v1.5")[0]
    assert "another licence" in base_terms(RAIL, "v2.0")[0]


def test_another_title_over_the_same_text_is_told_by_paragraph_7():
    assert base_terms(RAIL.replace("Open RAIL-M", "Open RAIL++-M"), "v2.0") == [
        "paragraph 7 is that of OpenRAIL-M: this is the text for v1.4 and v1.5 under another title"
    ]


def test_without_attachment_a_the_model_licence_fails():
    assert base_terms(RAIL[: RAIL.index("Attachment A\n")], "v1.5") == [
        "Attachment A with its use restrictions is missing"
    ]


def test_a_dropped_use_restriction_is_counted():
    dropped = "\n".join(line for line in RAIL.splitlines() if "medical advice" not in line)
    assert base_terms(dropped, "v1.5") == ["Attachment A has 10 of its 11 use restrictions"]


def test_a_dropped_duty_is_named():
    line = next(line for line in RAIL.splitlines() if "enforceable provision" in line)
    assert base_terms(RAIL.replace(line, ""), "v1.5") == [
        "paragraph 4a (pass the use restrictions on) is missing"
    ]


def test_no_licence_at_all_misses_everything():
    assert len(base_terms("All rights reserved.", "v1.5")) == 9


def test_the_text_of_a_file_is_read(tmp_path):
    (tmp_path / "LICENSE").write_bytes(b"\xef\xbb\xbfMIT\r\nLicense")
    assert read_text(tmp_path / "LICENSE").text == "MIT\nLicense"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" \n", "is empty"),
        (b"a\0b", "no text"),
        (b"a" * 101, "over 100 bytes"),
    ],
)
def test_a_file_that_holds_no_licence_text_is_told(tmp_path, content, problem):
    (tmp_path / "LICENSE").write_bytes(content)
    read = read_text(tmp_path / "LICENSE", limit=100)
    assert read.text == ""
    assert problem in read.problems[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_old_encodings_are_read(tmp_path, encoding):
    (tmp_path / "LICENSE").write_bytes("Übertragung der Lizenz\n".encode(encoding))
    assert read_text(tmp_path / "LICENSE").text == "Übertragung der Lizenz\n"


def test_a_broken_utf_16_text_is_read_as_far_as_it_goes(tmp_path):
    (tmp_path / "LICENSE").write_bytes(b"\xff\xfeM\0I\0T")
    assert read_text(tmp_path / "LICENSE").text == "MI\ufffd"


def test_a_missing_file_or_a_folder_is_told(tmp_path):
    assert "is no file" in read_text(tmp_path / "gone").problems[0]
    assert "is no file" in read_text(tmp_path).problems[0]
    assert read_text(tmp_path / "nul\0").problems


def test_what_was_put_in_is_told_beside_the_attachment_that_is_missing():
    cut = RAIL[: RAIL.rindex("Attachment A")].replace("to You a perpetual", "to You a revocable")
    missing, altered = base_terms(cut, "v1.5")
    assert missing == "Attachment A with its use restrictions is missing"
    assert "grants to you a [missing: perpetual, added: revocable] worldwide" in altered
    (only,) = base_terms(RAIL[: RAIL.rindex("Attachment A")], "v1.5")
    assert only == missing


def test_duties_without_the_licence_around_them_are_no_licence():
    assert base_terms(RAIL, "v1.5") == []
    words = RAIL.split("\n\n")
    assert base_terms("\n\n".join(reversed(words)), "v1.5") != []


@pytest.mark.parametrize(
    ("tag", "covered"),
    [
        ("MIT OR GPL-2.0-only", True),
        ("(GPL-2.0-only OR MIT) AND Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT AND GPL-2.0-only", False),
        ("GPL-2.0-only", False),
        ("GPL-3.0-or-later", True),
    ],
)
def test_a_choice_of_licences_is_covered_by_one_of_them(tag, covered):
    assert is_covered(tag, {"mit", "apache-2.0", "gpl-3.0"}) is covered


@pytest.mark.parametrize("text", [f"{RAIL}\n\n{PLUS}", f"{PLUS}\n\n{RAIL}"])
def test_one_file_may_hold_the_licences_of_both_editions(text):
    assert [base_terms(of_edition(text, each), each) for each in ("v1.4", "v1.5", "v2.0")] == [[], [], []]


def test_a_text_with_one_edition_is_never_cut():
    assert of_edition(RAIL, "v2.0") == RAIL and of_edition(PLUS, "v1.5") == PLUS


def test_what_was_dropped_from_one_of_two_licences_is_found():
    dropped = "\n".join(line for line in RAIL.splitlines() if "medical advice" not in line)
    both = f"{dropped}\n\n{PLUS}"
    assert base_terms(of_edition(both, "v1.5"), "v1.5") != []
    assert base_terms(of_edition(both, "v2.0"), "v2.0") == []


@pytest.mark.parametrize(
    "told",
    [
        "用户必须遵守 LICENSE-MODEL 附件 A 中的使用限制。",
        "利用者は別紙Aの利用制限に従わなければならない。",
        "사용자는 첨부 A의 사용 제한을 준수해야 합니다.",
        "By using this plugin you accept the use-based restrictions of the model.",
    ],
)
def test_users_may_be_bound_in_the_languages_of_the_store(told):
    assert restrictions_passed_on({"README.md": told}).answer == "yes"


def test_a_change_may_be_told_in_the_languages_of_the_store():
    assert (
        change_stated({"NOTICE": "loras/ink.safetensors 由 Stable Diffusion v1.5 微调而来。"}, "v1.5").answer
        == "yes"
    )
