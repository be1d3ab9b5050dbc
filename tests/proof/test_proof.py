"""What is measured when: nothing falls between `pytest` and `pytest -m proof`, and narrow rows are narrow for
a reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from certify.candidate.candidate import read_candidate
from certify.instruments.packages.dependencies import read_dependencies
from certify.sandbox.host.packages import is_satisfied
from certify.submission.submission import open_submission
from tests.defects.catalogue import all_defects, hostile_acts, sound
from tests.end_to_end import test_hostile, test_sensitivity
from tests.proof import row_cache
from tests.proof.bench import Row, expected_of
from tests.proof.scope import (
    ABOUT_LEAKS,
    CHECKED,
    EVERYTHING,
    ONE_IN,
    ROWS,
    STATIC,
    is_soaked,
    names_a_leak,
    one_for_each_requirement,
    own,
    static_first,
    whole,
    works_like_sound,
)
from tests.run import test_check

DEFECTS = {defect.name: defect for defect in all_defects()}
LIKE_SOUND = (
    "ships_no_licence",
    "uses_a_private_lora",
    "has_twins",
    "lets_every_version_in",
    "ships_a_binary",
)
UNLIKE_SOUND = (
    "takes_any_steps",
    "entry_is_missing",
    "hides_a_lora",
    "hides_copied_code",
    "acts_when_it_is_installed",
    "carries_honest_metadata",
    "depends_on_a_thief",
    "declares_no_mark",
    "lists_two_languages",
    "shows_no_faces",
    "opens_undeclared_weights",
)


def _params(test: object) -> set[str]:
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    return {value if isinstance(value, str) else value.values[0] for value in mark.args[1]}


def _is_proof(test: object) -> bool:
    return any(mark.name == "proof" for mark in test.pytestmark)  # type: ignore[attr-defined]


def test_every_defect_occurs_in_the_proof() -> None:
    rows = test_sensitivity.test_findings_equal_those_beside_the_defect
    acts = test_hostile.test_behind_walls_it_gets_nothing_done_and_is_found_as_it_should
    assert _is_proof(rows) and _is_proof(acts)
    assert _params(rows) == {"sound", *DEFECTS}
    assert _params(acts) == {act.name for act in hostile_acts()}


def test_each_requirement_that_has_a_defect_has_one_in_every_pytest() -> None:
    rows = test_sensitivity.test_one_defect_of_each_requirement_is_found
    assert not _is_proof(rows)
    there = {name for defect in DEFECTS.values() if defect.name in _params(rows) for name in defect.breaks}
    checks = test_check.test_every_static_finding_is_that_of_a_whole_run
    assert not _is_proof(checks)
    (mark,) = [row for row in checks.pytestmark if row.name == "parametrize"]  # type: ignore[attr-defined]
    assert {defect.name for defect in mark.args[1]} == {"sound", *DEFECTS}
    broken = {name for defect in DEFECTS.values() for name in defect.breaks}
    assert there | (broken & CHECKED) == broken


def test_the_choice_is_the_same_each_time_and_takes_the_cheapest() -> None:
    chosen = [defect.name for defect in one_for_each_requirement()]
    assert chosen == [defect.name for defect in one_for_each_requirement(DEFECTS.values())]
    a, b = DEFECTS["cuts_attachment_a"], DEFECTS["softens_attachment_a"]
    assert [defect.name for defect in one_for_each_requirement([a, b])] == ["cuts_attachment_a"]
    twice = replace(
        b, name="a_name_before_it", expected={**b.expected, "licence.files": b.expected[b.breaks[0]]}
    )
    assert [defect.name for defect in one_for_each_requirement([a, twice])] == ["cuts_attachment_a"]


@pytest.mark.parametrize("name", LIKE_SOUND)
def test_what_changes_texts_or_what_nothing_opens_works_like_the_sound_plugin(
    tmp_path: Path, name: str
) -> None:
    assert works_like_sound(DEFECTS[name].build(tmp_path / "plugin"))


@pytest.mark.parametrize("name", UNLIKE_SOUND)
def test_what_may_change_what_a_worker_does_is_measured_with_everything(tmp_path: Path, name: str) -> None:
    folder = DEFECTS[name].build(tmp_path / "plugin")
    assert not works_like_sound(folder)
    assert whole(DEFECTS[name], folder, "a seed") >= EVERYTHING - ABOUT_LEAKS


@pytest.mark.parametrize("defect", [sound(), *DEFECTS.values()], ids=lambda defect: defect.name)
def test_what_a_defect_breaks_is_measured_in_each_of_its_rows(tmp_path: Path, defect) -> None:  # type: ignore[no-untyped-def]
    folder = defect.build(tmp_path / "plugin")
    expected = expected_of(defect, EVERYTHING)
    for measured in (static_first(defect, folder), whole(defect, folder, "a seed"), own(defect)):
        assert expected_of(defect, measured) == expected
        assert measured >= STATIC
        by_id = {row.id: row for row in ROWS}
        if any(by_id[name].when == "end" for name in measured):
            assert any(by_id[name].when == "run" for name in measured), (
                "a judgement over calls that nobody made"
            )


def test_what_names_a_leak_is_soaked_always_and_an_eighth_of_the_others_in_turn() -> None:
    others = [defect for defect in DEFECTS.values() if not names_a_leak(defect)]
    for seed in ("one", "another"):
        assert all(is_soaked(defect, seed) for defect in DEFECTS.values() if names_a_leak(defect))
        soaked = [defect for defect in others if is_soaked(defect, seed)]
        assert 0.5 * len(others) / ONE_IN < len(soaked) < 2 * len(others) / ONE_IN
    turns = [{defect.name for defect in others if is_soaked(defect, str(seed))} for seed in range(60)]
    assert set.union(*turns) == {defect.name for defect in others}


def test_the_sound_plugin_needs_no_package_and_no_defect_does_by_a_stale_bound(tmp_path: Path) -> None:
    for number, defect in enumerate([sound(), *DEFECTS.values()]):
        folder = defect.build(tmp_path / str(number))
        text = folder / "requirements.txt"
        lines = text.read_text("utf-8").splitlines() if text.is_file() else []
        for line in lines:
            assert not re.match(r"(numpy|pillow) ?>", line) or is_satisfied(_requirement(line)), defect.name
    staged = read_candidate(open_submission(tmp_path / "0", tmp_path / "staged"))
    declared = read_dependencies(staged.root, [row.path for row in staged.submission.files]).declared
    assert [str(row) for row in declared if not is_satisfied(row.requirement)] == []
    assert declared


def _requirement(line: str):  # type: ignore[no-untyped-def]
    from packaging.requirements import Requirement

    return Requirement(line.partition("#")[0])


ROW = Row("a", "security", {"x.y": "failed"}, {"x.y": "failed"}, "REJECTED", 1.0, {"x.y": "why"})


def test_a_row_as_expected_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(row_cache.VARIABLE, str(tmp_path / "cache"))
    assert row_cache.recall("key") is None
    row_cache.remember("key", ROW)
    assert row_cache.recall("key") == ROW
    assert row_cache.recall("other") is None


def test_a_row_that_came_out_otherwise_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(row_cache.VARIABLE, str(tmp_path))
    for found in ({}, {"x.y": "warned"}, {"x.y": "failed", "x.z": "failed"}):
        row_cache.remember("key", replace(ROW, found=found))
    assert list(tmp_path.iterdir()) == []


def test_what_is_broken_in_the_cache_counts_as_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(row_cache.VARIABLE, str(tmp_path))
    for text in ("", "{", "[]", '{"name": "a"}'):
        (tmp_path / "key.json").write_text(text, "utf-8")
        assert row_cache.recall("key") is None


def test_an_empty_variable_turns_the_memory_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(row_cache.VARIABLE, "")
    row_cache.remember("key", ROW)
    assert row_cache.folder() is None
    assert row_cache.recall("key") is None


def test_a_key_changes_with_everything_that_a_row_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = sound().build(tmp_path / "plugin")
    first = row_cache.key(built, {}, STATIC, "1")
    assert row_cache.key(built, {}, STATIC, "1") == first
    keys = {
        first,
        row_cache.key(built, {"x.y": "failed"}, STATIC, "1"),
        row_cache.key(built, {}, EVERYTHING, "1"),
        row_cache.key(built, {}, STATIC, "2"),
    }
    monkeypatch.setattr(row_cache, "digest_of_judges", lambda: "another judge")
    keys.add(row_cache.key(built, {}, STATIC, "1"))
    monkeypatch.setattr(row_cache, "_machine", lambda: ["another torch"])
    keys.add(row_cache.key(built, {}, STATIC, "1"))
    (built / "NOTICE").write_text("other", "utf-8")
    keys.add(row_cache.key(built, {}, STATIC, "1"))
    assert len(keys) == 7
