"""JUnit XML: parses, counts right, and is never green where the verdict is not."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.outputs.junit import to_junit
from certify.terms.outcomes import Outcome
from tests.reports.sample import SUITES, row, sample

KINDS = ("failure", "error", "skipped", "system-out")


def parse(text: str) -> ET.Element:
    return ET.fromstring(text)  # our own output


def case_of(outcome: Outcome, counts: bool = True) -> ET.Element:
    found = row("sdk.a", outcome, counts=counts, message="Seen.\nAnd more.")
    case = parse(to_junit(sample("PASSED", requirements=(found,)))).find(".//testcase")
    assert case is not None
    return case


@pytest.mark.parametrize(
    ("outcome", "counts", "kind"),
    [
        (Outcome.PASSED, True, ""),
        (Outcome.FAILED, True, "failure"),
        (Outcome.FAILED, False, "skipped"),
        (Outcome.ERROR, True, "error"),
        (Outcome.FLAKY, True, "error"),
        (Outcome.NOT_EVIDENCED, True, "error"),
        (Outcome.NOT_EVIDENCED, False, "skipped"),
        (Outcome.NOT_APPLICABLE, True, "skipped"),
        (Outcome.WAIVED, True, "skipped"),
        (Outcome.WARNED, True, "system-out"),
    ],
)
def test_each_outcome_has_its_element(outcome: Outcome, counts: bool, kind: str) -> None:
    case = case_of(outcome, counts)
    assert [child.tag for child in case if child.tag in KINDS] == [kind] * bool(kind)


def test_a_failure_carries_its_type_message_and_way_to_reproduce() -> None:
    failure = case_of(Outcome.FAILED).find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("failed", "Seen.")
    assert "Reproduce: certify replay runs/inkwash sdk.a" in (failure.text or "")


def test_what_is_skipped_says_why() -> None:
    skipped = case_of(Outcome.NOT_EVIDENCED, counts=False).find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not-evidenced, does not count at profile store: Seen."


def test_every_requirement_is_a_testcase_in_its_suite() -> None:
    results = sample()
    root = parse(to_junit(results))
    assert [suite.get("name") for suite in root] == list(SUITES.values())
    cases = {(case.get("classname"), case.get("name")) for case in root.iter("testcase")}
    assert cases == {(found.suite, found.id) for found in results.requirements}


@pytest.mark.parametrize("verdict", ["REJECTED", "PASSED", "INCOMPLETE", "ERROR"])
def test_totals_are_right_in_each_suite_and_in_all(verdict: str) -> None:
    root = parse(to_junit(sample(verdict)))
    for element in (root, *root.iter("testsuite")):
        told = [element.get(name) for name in ("tests", "failures", "errors", "skipped")]
        assert told == [
            str(len(element.findall(f".//{tag}"))) for tag in ("testcase", "failure", "error", "skipped")
        ]
    red = int(root.get("failures", "0")) + int(root.get("errors", "0"))
    assert (red > 0) == (verdict != "PASSED")


@pytest.mark.parametrize(
    ("verdict", "kind"), [("REJECTED", "failure"), ("INCOMPLETE", "error"), ("ERROR", "error")]
)
def test_a_verdict_that_no_requirement_shows_has_a_testcase_of_its_own(verdict: str, kind: str) -> None:
    root = parse(to_junit(sample(verdict, requirements=(row("sdk.a"),), planned=9)))
    (found,) = root.findall(f".//testcase[@name='verdict']/{kind}")
    assert found.get("type") == verdict
    assert root.get("tests") == "2"


def test_properties_say_level_source_verdict_and_profile() -> None:
    case = case_of(Outcome.PASSED)
    properties = {found.get("name"): found.get("value") for found in case.iter("property")}
    assert properties == {
        "requirement": "sdk.a",
        "level": "must",
        "outcome": "passed",
        "source": "B5",
        "verdict": "PASSED",
        "profile": "store",
    }


def test_control_characters_are_written_out() -> None:
    found = row("sdk.a", Outcome.FAILED, message="\x1b[31m\x00\ud800\u202e</failure><x>\ufffe")
    failure = parse(to_junit(sample(requirements=(found,)))).find(".//failure")
    assert failure is not None
    assert failure.get("message") == "\\x1b[31m\\x00\\ud800\\u202e</failure><x>\\ufffe"


def test_a_message_of_a_megabyte_is_cut() -> None:
    assert (
        len(to_junit(sample(requirements=(row("sdk.a", Outcome.FAILED, message="m" * 1_000_000),)))) < 20_000
    )


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_any_text_gives_xml_that_parses(text: str) -> None:
    results = sample(requirements=(row("sdk.a", Outcome.FAILED, message=text, suite=text, source=(text,)),))
    root = parse(to_junit(results).encode("utf-8").decode("utf-8"))
    assert root.get("tests") == "1"


def test_the_same_results_give_the_same_text() -> None:
    assert to_junit(sample()) == to_junit(sample())
