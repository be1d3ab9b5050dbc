"""The report is complete, self-contained, and inert whatever the candidate said."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from certify.reports.html import render_report
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.record.results import Isolation, Picture, Series, Text, Value
from certify.terms.outcomes import Outcome
from tests.reports.sample import png, row, sample, write_evidence

HOSTILE = "<script>alert(1)</script></script></style>\"'><img src=x onerror=alert(1)>{{7*7}}{% raw %}"
CONTROLS = "\x1b[31mred\x00\u202etxt.exe\u2066\ufeff"


class Page(HTMLParser):
    """Every start tag with its attributes, and the text of style and script blocks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, list[str]] = {"style": [], "script": []}
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in self.blocks else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.blocks[self._inside] if self._inside else self.words).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_with(tmp_path: Path, *rows: object, **changes: object) -> str:
    return render_report(sample(requirements=rows, **changes), tmp_path)


def hostile_results(text: str):
    evidence = (
        Value(name=text, value=text, unit=text),
        Text(name=text, text=text),
        Picture(name=text, file=text, width=64, height=64, caption=text),
        Series(name=text, x_label=text, y_label=text, points=((0, 0), (1, 1)), file=text, summary=text),
    )
    found = row(
        "sdk.hostile",
        Outcome.FAILED,
        message=text,
        evidence=evidence,
        replay=text,
        title=text,
        sentence=text,
        source=(text,),
        why=text,
        fix=text,
    )
    plain = sample()
    return sample(
        requirements=(found, found.model_copy(update={"id": text, "suite": text, "outcome": Outcome.PASSED})),
        candidate=plain.candidate.model_copy(
            update=dict.fromkeys(("name", "version", "digest", "kind", "submission"), text)
        ),
        verdict=plain.verdict.model_copy(update={"reasons": (text,)}),
        claims=(text,),
        environment={text: text},
        isolation=Isolation.model_validate(
            {"level": "L2", "demanded": "L2", "acts": [{"act": text, "stopped": True, "note": text}]}
        ),
        suites={"sdk": text},
        seed=text,
        profile=text,
        started=text,
    )


def test_every_requirement_appears_once_as_a_row_of_its_own(tmp_path: Path) -> None:
    results = sample()
    page = Page(render_report(results, tmp_path))
    rows = [str(tag["id"]) for tag in page.all("details") if "data-outcome" in tag]
    assert sorted(rows) == sorted(f"r-{found.id}" for found in results.requirements)


def test_only_what_needs_attention_is_open(tmp_path: Path) -> None:
    results = sample()
    page = Page(render_report(results, tmp_path))
    opened = {tag["id"] for tag in page.all("details") if "data-outcome" in tag and "open" in tag}
    loud = {Outcome.FAILED, Outcome.ERROR, Outcome.FLAKY, Outcome.WARNED, Outcome.NOT_EVIDENCED}
    assert opened == {
        f"r-{found.id}" for found in results.requirements if found.outcome in loud and found.counts
    }
    assert not [tag for tag in page.all("details") if "data-outcome" not in tag and "open" in tag]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("PASSED", "PASSED at profile store"),
        ("CERTIFIED", "CERTIFIED at profile certified"),
        ("REJECTED", "REJECTED: 3 requirements failed"),
        ("INCOMPLETE", "INCOMPLETE: 1 requirement could not be measured"),
        ("ERROR", "ERROR: 1 requirement ended in an error of the harness"),
    ],
)
def test_the_heading_says_the_verdict_in_words(tmp_path: Path, verdict: str, words: str) -> None:
    heading = re.search("<h1>(.*?)</h1>", render_report(sample(verdict), tmp_path), re.S)
    assert heading and re.sub("<.*?>", "", heading[1]) == words


def test_an_incomplete_run_says_how_many_did_not_run(tmp_path: Path) -> None:
    changes = {"requirements": tuple(sample("PASSED").requirements), "planned": 31}
    text = render_report(sample("INCOMPLETE", **changes), tmp_path)
    assert "</b>: 3 of 31 planned did not run</h1>" in text
    assert "31 planned, 28 ran" in text


def test_a_reason_that_names_a_requirement_links_to_it(tmp_path: Path) -> None:
    assert '<a href="#r-sdk.cancel">sdk.cancel</a>: TimeoutError' in render_report(sample(), tmp_path)


def test_isolation_below_the_demand_is_said(tmp_path: Path) -> None:
    text = render_report(sample(isolation=Isolation(level="L1", demanded="L3")), tmp_path)
    assert "below L3, which profile store demands" in text


def test_the_policy_names_exactly_the_inlined_blocks(tmp_path: Path) -> None:
    text = render_report(sample(), tmp_path)
    page = Page(text)
    (policy,) = [
        tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    for block, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{block}>(.*?)</{block}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in (policy or "")
    for directive in ("default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"):
        assert directive in (policy or "")


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    write_evidence(tmp_path)
    page = Page(render_report(sample(), tmp_path))
    loading = [
        (name, value)
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert loading
    for name, value in loading:
        assert value and re.match(r"#|data:|evidence/", value), (name, value)
    assert not re.search(
        r"url\(|@import|fetch\(|XMLHttp", "".join(page.blocks["style"] + page.blocks["script"])
    )


@pytest.mark.parametrize("text", [HOSTILE, CONTROLS, "javascript:alert(1)", "../../etc/passwd", "a\r\nb\nc"])
def test_hostile_text_is_inert_in_every_field(tmp_path: Path, text: str) -> None:
    harmless = Page(render_report(hostile_results("harmless"), tmp_path))
    page = Page(render_report(hostile_results(text), tmp_path))
    assert [tag for tag, _ in page.tags if tag in ("script", "img", "style")] == ["style", "script"]
    assert {tuple(tag) for _, tag in page.tags} == {tuple(tag) for _, tag in harmless.tags}
    assert page.blocks == harmless.blocks
    assert not [tag for tag in page.all("a") if not (tag["href"] or "").startswith("#")]


def test_control_characters_are_shown_as_escapes(tmp_path: Path) -> None:
    text = render_report(hostile_results(CONTROLS), tmp_path)
    assert "\\x1b[31mred\\x00\\u202etxt.exe\\u2066\\ufeff" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", text)


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(), max_size=60))
def test_any_text_gives_a_page_of_the_same_tags(text: str) -> None:
    def page(message: str) -> str:
        return page_with(Path("nowhere"), row("sdk.any", message="x" + message))

    assert [tag for tag, _ in Page(page(text)).tags] == [tag for tag, _ in Page(page("")).tags]
    page(text).encode("utf-8")


def test_template_syntax_is_only_text(tmp_path: Path) -> None:
    text = page_with(tmp_path, row("sdk.a", Outcome.FAILED, message="{{7*7}}"))
    assert "{{7*7}}" in text
    assert ">49<" not in text


def test_a_message_of_a_megabyte_is_cut_and_says_so(tmp_path: Path) -> None:
    text = page_with(tmp_path, row("sdk.a", Outcome.FAILED, message="m" * 1_000_000))
    assert "mmm… (cut)" in text
    assert len(text) < 100_000


def test_a_long_name_does_not_push_the_verdict_down(tmp_path: Path) -> None:
    text = render_report(hostile_results("n" * 5_000), tmp_path)
    assert len(re.sub("<.*?>", "", text[text.index("<header") : text.index("<h1>")])) < 250


def test_effort_stands_beside_the_fix_and_only_where_it_is_known(tmp_path: Path) -> None:
    known = row("sdk.known", Outcome.FAILED, fix="Pass it on.", effort="hours")
    assert 'Pass it on. <span class="quiet">The fix usually takes hours.</span>' in page_with(tmp_path, known)
    assert "usually takes" not in page_with(tmp_path, known.model_copy(update={"effort": ""}))
    passed = known.model_copy(update={"outcome": Outcome.PASSED})
    assert "usually takes" not in page_with(tmp_path, passed)


def test_a_command_to_copy_has_one_line(tmp_path: Path) -> None:
    text = page_with(tmp_path, row("sdk.a", Outcome.FAILED, replay="certify replay a\nrm -rf ~"))
    assert "<code>certify replay a\\nrm -rf ~</code>" in text


def test_the_command_for_the_whole_run_is_shown_as_recorded(tmp_path: Path) -> None:
    repeat = "certify run 'my plugin; true' --seed 7 --profile store"
    assert repeat in unescape(render_report(sample(repeat=repeat), tmp_path))


def test_the_commands_of_a_report_work_as_they_stand_in_the_runs_folder(tmp_path: Path) -> None:
    text = unescape(render_report(sample(), tmp_path))
    for command in ("certify replay . REQUIREMENT", "certify report ."):
        assert f"<code>{command}</code>" in text
    assert text.count("(from this run's folder)") == 2


def test_a_picture_is_inlined_and_a_missing_one_is_noted(tmp_path: Path) -> None:
    write_evidence(tmp_path)
    page = Page(render_report(sample(), tmp_path))
    sources = [tag["src"] or "" for tag in page.all("img")]
    assert len(sources) == 2
    assert base64.b64decode(sources[0].removeprefix("data:image/png;base64,")) == png(64)
    assert "Left out: evidence/gone.png is not a file in the run's folder." in "".join(page.words)


def test_every_picture_has_an_alternative_text(tmp_path: Path) -> None:
    write_evidence(tmp_path)
    assert all(tag["alt"] for tag in Page(render_report(sample(), tmp_path)).all("img"))


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    write_evidence(tmp_path)
    assert render_report(sample(), tmp_path) == render_report(sample(), tmp_path)


def test_a_text_alternative_and_a_table_stand_beside_each_curve(tmp_path: Path) -> None:
    text = render_report(sample(), tmp_path)
    assert 'role="img" aria-label="Resident memory: 312 MiB at the start' in text
    assert "150 points as a table" in text


def test_a_run_without_requirements_is_still_a_page(tmp_path: Path) -> None:
    text = page_with(tmp_path, planned=0, claims=(), suites={})
    assert "0 planned, 0 ran" in text


def test_forty_requirements_stay_small_and_quick(tmp_path: Path) -> None:
    rows = [*sample().requirements, row("sdk.one-more"), row("sdk.another")]
    assert len(rows) == 40
    results = sample(requirements=tuple(rows))
    render_report(results, tmp_path)
    start = time.process_time()
    text = render_report(results, tmp_path)
    assert time.process_time() - start < 0.5
    assert len(text.encode()) < 200_000


def test_a_run_that_executed_nothing_needed_no_isolation(tmp_path: Path) -> None:
    isolation = Isolation(level="L0", demanded="L1", needed=False)
    text = render_report(sample().model_copy(update={"isolation": isolation}), tmp_path)
    assert "not needed" in text
    assert "nothing of the plugin was executed" in text
    assert "below L1" not in text
