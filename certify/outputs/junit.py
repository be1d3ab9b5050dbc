"""JUnit XML for CI systems: it contains a failure or an error unless the verdict is a pass.

The format is the common one of Jenkins, GitLab and pytest: testsuites / testsuite / testcase.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from certify.record.results import RequirementResult, Results
from certify.terms.outcomes import Outcome

# Outside the Char production of XML 1.0 (section 2.2), and what could act on a terminal that prints it.
_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_MESSAGE_LIMIT = 500
_TEXT_LIMIT = 8_000


def to_junit(results: Results) -> str:
    """One testsuite per suite, one testcase per requirement, as text with an XML declaration.

    Where a requirement counts, `failed` is a failure, and `error`, `not-evidenced` and `flaky` are errors.
    A requirement that does not count, does not apply or is waived is skipped, with the reason. Where the
    verdict is not a pass and no requirement shows it, a testcase `verdict` is added.
    """
    root = ET.Element("testsuites", name="certify", time=_seconds(results.seconds))
    names = dict.fromkeys([*results.suites, *(row.suite for row in results.requirements)])
    for name in names:
        rows = [row for row in results.requirements if row.suite == name]
        if rows:
            _add_suite(root, name, rows, results)
    has_failure = root.find(".//failure") is not None or root.find(".//error") is not None
    if results.verdict.exit_code and not has_failure:
        _add_verdict(root, results)
    _add_totals(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_suite(root: ET.Element, name: str, rows: Sequence[RequirementResult], results: Results) -> None:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=_legal(results.suites.get(name, name)),
        time=_seconds(sum(row.seconds for row in rows)),
    )
    if results.started:
        suite.set("timestamp", _legal(results.started))
    verdict = [("verdict", results.verdict.name), ("profile", results.profile)]
    _add_properties(suite, [*verdict, ("candidate", results.candidate.digest)])
    for row in rows:
        _add_case(suite, row, results)
    _add_totals(suite)


def _add_case(suite: ET.Element, row: RequirementResult, results: Results) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=_legal(row.suite), name=_legal(row.id), time=_seconds(row.seconds)
    )
    _add_properties(
        case,
        [
            ("requirement", row.id),
            ("level", row.level),
            ("outcome", row.outcome.value),
            *(("source", source) for source in row.source),
            ("verdict", results.verdict.name),
            ("profile", results.profile),
        ],
    )
    if row.outcome is Outcome.PASSED:
        return
    if row.outcome is Outcome.WARNED:
        ET.SubElement(case, "system-out").text = _legal(f"warned: {row.message}")
    elif row.outcome in (Outcome.WAIVED, Outcome.NOT_APPLICABLE):
        ET.SubElement(case, "skipped", message=_first_line(f"{row.outcome.value}: {row.message}"))
    elif not row.counts:
        why = f"{row.outcome.value}, does not count at profile {results.profile}: {row.message}"
        ET.SubElement(case, "skipped", message=_first_line(why))
    else:
        tag = "failure" if row.outcome is Outcome.FAILED else "error"
        what = ET.SubElement(case, tag, type=row.outcome.value, message=_first_line(row.message or row.id))
        what.text = _details(row)


def _details(row: RequirementResult) -> str:
    parts = (
        ("", row.message),
        ("Requirement: ", row.sentence),
        ("Fix: ", row.fix),
        ("Reproduce: ", row.replay),
    )
    return "\n".join(_legal(label + text) for label, text in parts if text)


def _add_verdict(root: ET.Element, results: Results) -> None:
    verdict = results.verdict
    suite = ET.SubElement(root, "testsuite", name="Verdict", time="0.000")
    case = ET.SubElement(suite, "testcase", classname="certify", name="verdict", time="0.000")
    tag = "failure" if verdict.name == "REJECTED" else "error"
    reasons = "\n".join(verdict.reasons) or "No requirement gives a reason."
    what = ET.SubElement(case, tag, type=verdict.name, message=_first_line(f"{verdict.name}: {reasons}"))
    what.text = _legal(reasons)
    _add_totals(suite)


def _add_properties(parent: ET.Element, pairs: Sequence[tuple[str, str]]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in pairs:
        ET.SubElement(properties, "property", name=name, value=_legal(value))


def _add_totals(target: ET.Element) -> None:
    for attribute, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        target.set(attribute, str(sum(1 for _ in target.iter(tag))))


def _legal(text: str) -> str:
    """`text` with characters that XML forbids escaped (`\\x1b`), cut at a readable length."""
    cut = text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "… (cut)"
    return _ILLEGAL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), cut)


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return _legal(line if len(line) <= _MESSAGE_LIMIT else line[:_MESSAGE_LIMIT] + "… (cut)")


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
