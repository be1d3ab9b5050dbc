"""The catalogue keeps the project's own rules: each requirement has its test, its source and its defect."""

from __future__ import annotations

import ast
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

import certify
from certify.errors import UserError
from certify.plan import catalogue
from certify.plan.catalogue import (
    TRAIT_PHRASES,
    CatalogueError,
    Requirement,
    harness_digest,
    load_catalogue,
    suite_digest,
    suites_root,
)
from certify.terms.traits import TRAITS
from tests.defects.catalogue import all_defects

CATALOGUE = load_catalogue()
ROWS = CATALOGUE.requirements
CAPABILITIES = {"linux", "macos", "windows", "worker", "cuda", "uv", "pip-audit"}
ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec.md"
# Only a day of soaking can break it; its rule is tested by itself, with a made-up day.
WITHOUT_A_DEFECT = {"leak.full-day"}


def ids_of_tests(suite: str) -> list[str | None]:
    """The requirement ids on a suite's tests; None stands for a test without one."""
    found: list[str | None] = []
    for file in sorted((CATALOGUE.root / suite).glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                found += [_id_of(call) for call in node.decorator_list if _id_of(call)] or [None]
    return found


def _id_of(decorator: ast.expr) -> str | None:
    if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "requirement":
        return str(ast.literal_eval(decorator.args[0]))
    return None


@pytest.mark.parametrize("suite", [suite.name for suite in CATALOGUE.suites])
def test_every_requirement_has_a_test_and_every_test_a_requirement(suite: str) -> None:
    tested = ids_of_tests(suite)
    assert None not in tested, "a test without a requirement"
    assert set(tested) == {row.id for row in ROWS if row.suite == suite}


def test_every_folder_of_the_suites_is_in_the_catalogue() -> None:
    folders = {path.parent.name for path in suites_root().glob("*/test_*.py")}
    assert folders == set(CATALOGUE.titles)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_source_is_a_row_of_the_specification_or_names_a_text(row: Requirement) -> None:
    known = set(re.findall(r"^\| ([A-G]\d+) \|", SPEC.read_text("utf-8"), re.MULTILINE))
    for source in row.source:
        named_text = len(source) >= 15 and " " in source
        assert source in known or named_text, f"{source} is neither"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_uses_words_that_are_defined(row: Requirement) -> None:
    assert set(row.applies) <= TRAITS
    assert set(row.needs) <= CAPABILITIES
    assert ("MUST" in row.sentence) == (row.level == "must")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_runs_the_plugin_needs_a_worker_and_what_is_static_does_not(row: Requirement) -> None:
    assert ("worker" in row.needs) == (row.when != "static")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_speaks_to_the_author_in_the_projects_words(row: Requirement) -> None:
    text = " ".join((row.title, row.sentence, row.why, row.fix))
    other = r"candidates?|pictures?|told|asked|befell|whoever|kin|dearest|the likes of|mend(ed|s)?"
    assert not re.search(rf"\b({other})\b", text, re.IGNORECASE)
    assert re.match(r"[A-Z][a-z]+ ", row.fix), "a fix starts with a verb that says what to do first"


def test_every_requirement_has_a_defect_that_breaks_it() -> None:
    broken = {name for defect in all_defects() for name in defect.breaks}
    assert {row.id for row in ROWS} - broken == WITHOUT_A_DEFECT


def test_every_defect_names_known_requirements_and_stands_in_its_suites_folder() -> None:
    known = {row.id: row.suite for row in ROWS}
    for defect in all_defects():
        assert set(defect.expected) <= set(known), defect.name
        suites = {known[name] for name in defect.breaks}
        assert defect.suite == "faults" or not suites or defect.suite in suites, defect.name


def test_names_of_defects_are_unique() -> None:
    assert max(Counter(defect.name for defect in all_defects()).values()) == 1


def test_suites_come_in_their_order() -> None:
    orders = [suite.order for suite in CATALOGUE.suites]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)


def test_a_requirement_is_found_by_its_id() -> None:
    assert CATALOGUE.find("leak.memory").suite == "soak"


def test_an_unknown_id_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError) as told:
        CATALOGUE.find("leak.memry")
    assert told.value.hint == 'Did you mean "leak.memory"?'


def test_an_id_near_to_none_points_at_the_list() -> None:
    with pytest.raises(UserError) as told:
        CATALOGUE.find("zzz")
    assert "certify list" in told.value.hint


def test_an_unknown_suite_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError) as told:
        CATALOGUE.select(["leak-soak"], [])
    assert told.value.hint == 'Did you mean "leak_soak"?'


def test_a_selection_joins_suites_and_ids_and_none_is_everything() -> None:
    leaks = {row.id for row in ROWS if row.suite == "soak"}
    assert CATALOGUE.select(["leak_soak"], ["sdk.same-seed"]) == leaks | {"sdk.same-seed"}
    assert CATALOGUE.select([], ["sdk.same-seed"]) == {"sdk.same-seed"}
    assert CATALOGUE.select([], []) == {row.id for row in ROWS}


def test_what_a_judgement_over_the_run_needs_is_measured_and_said() -> None:
    asking = {row.id for row in ROWS if row.when == "run"}
    assert CATALOGUE.select([], ["sdk.stays-alive"]) == asking | {"sdk.stays-alive"}
    said = CATALOGUE.explain_addition([], ["sdk.stays-alive"])
    assert said.startswith("Also measured, because sdk.stays-alive judges every call of a run: ")
    assert said.endswith(f"({len(asking)} requirements).")
    assert all(identifier in said for identifier in asking)


@pytest.mark.parametrize("identifiers", [[], ["sdk.same-seed"], ["licence.files"]])
def test_where_nothing_is_added_nothing_is_said(identifiers: list[str]) -> None:
    assert CATALOGUE.explain_addition([], identifiers) == ""


OLD_NAMES = {
    "sdk.same-seed": "sdk_contract",
    "mark.declared": "watermark",
    "leak.memory": "leak_soak",
    "lang.declared": "multilingual",
    "platform.native": "cross_platform",
}


@pytest.mark.parametrize("identifier", OLD_NAMES)
def test_a_suite_is_selected_by_its_earlier_name_too(identifier: str) -> None:
    suite = CATALOGUE.find(identifier).suite
    chosen = CATALOGUE.select([OLD_NAMES[identifier]], [])
    assert chosen == CATALOGUE.select([suite], [])
    assert identifier in chosen


def test_every_suite_has_a_summary_of_one_line_and_a_title_of_one_word() -> None:
    for suite in CATALOGUE.suites:
        assert re.fullmatch(r"[A-Z][a-z]+", suite.title)
        assert suite.summary.endswith(".") and len(suite.summary) <= 90


GOOD = """\
title = "Made up"
order = 1
[[requirement]]
id = "made.up"
title = "Made up"
sentence = "It MUST be made up."
source = ["G2"]
level = "must"
introduced = "2026.1"
lifecycle = "stable"
effort = "minutes"
why = "Because the tests need a row."
fix = "There is nothing to be mended."
"""


def suites_of(tmp_path: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "requirements.toml").write_text(text, "utf-8")
    return tmp_path


def test_a_row_takes_the_name_of_its_folder_as_its_suite(tmp_path: Path) -> None:
    (row,) = load_catalogue(suites_of(tmp_path, one=GOOD)).requirements
    assert (row.suite, row.counts_from, row.when) == ("one", "quick", "run")
    assert (row.lifecycle, row.effort) == ("stable", "minutes")


def test_an_id_in_two_suites_breaks_the_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"used twice: made\.up"):
        load_catalogue(suites_of(tmp_path, one=GOOD, two=GOOD))


def with_aliases(*aliases: str, identifier: str = "made.up") -> str:
    told = ", ".join(f'"{alias}"' for alias in aliases)
    return GOOD.replace("order = 1", f"aliases = [{told}]\norder = 1").replace("made.up", identifier)


def test_an_alias_selects_its_suite_and_may_be_the_suites_own_name(tmp_path: Path) -> None:
    two = with_aliases(identifier="made.too")
    catalogue = load_catalogue(suites_of(tmp_path, one=with_aliases("former", "one"), two=two))
    for name in ("one", "former"):
        assert catalogue.select([name], []) == {"made.up"}
    assert catalogue.titles.keys() == {"one", "two"}


@pytest.mark.parametrize(("typo", "near"), [("fromer", "former"), ("contrct", "contract")])
def test_a_wrong_suite_is_told_with_the_nearest_name_or_alias(tmp_path: Path, typo: str, near: str) -> None:
    catalogue = load_catalogue(suites_of(tmp_path, contract=with_aliases("former")))
    with pytest.raises(UserError) as told:
        catalogue.select([typo], [])
    assert told.value.hint == f'Did you mean "{near}"?'


@pytest.mark.parametrize(("one", "clash"), [("two", "two"), ("former", "former")])
def test_an_alias_that_another_suite_has_breaks_the_catalogue(tmp_path: Path, one: str, clash: str) -> None:
    texts = {"one": with_aliases(one), "two": with_aliases("former", identifier="made.too")}
    with pytest.raises(CatalogueError, match=f"Names of suites used twice: {clash}"):
        load_catalogue(suites_of(tmp_path, **texts))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('level = "must"', 'level = "maybe"'),
        ('id = "made.up"', 'id = "Made Up"'),
        ('source = ["G2"]', "source = []"),
        ("It MUST be", "It is"),
        ('introduced = "2026.1"\n', ""),
        ('lifecycle = "stable"\n', ""),
        ('lifecycle = "stable"', 'lifecycle = "new"'),
        ('effort = "minutes"\n', ""),
        ('effort = "minutes"', 'effort = ""'),
        ('effort = "minutes"', 'effort = "weeks"'),
        ("fix = ", "fixx = "),
        ("[[requirement]]", "[[requirements]]"),
        ("order = 1", 'order = "first"'),
        ("order = 1", "order = "),
        ("[[requirement]]", "requirement = 5\n[x]"),
    ],
)
def test_a_malformed_row_breaks_the_catalogue_and_its_file_is_named(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in GOOD
    with pytest.raises(CatalogueError, match=r"one.requirements\.toml"):
        load_catalogue(suites_of(tmp_path, one=GOOD.replace(old, new)))


def test_a_folder_without_suites_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"No requirements\.toml"):
        load_catalogue(tmp_path)


def copied_suites(tmp_path: Path) -> Path:
    return Path(shutil.copytree(suites_root(), tmp_path / "suites", ignore=shutil.ignore_patterns("__pyc*")))


@pytest.mark.parametrize("name", ["soak/test_soak.py", "licensing/requirements.toml", "pytest.ini"])
def test_the_digest_of_the_suites_changes_with_any_file(tmp_path: Path, name: str) -> None:
    root = copied_suites(tmp_path)
    before = suite_digest(root)
    assert before == suite_digest(suites_root())
    with (root / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert suite_digest(root) != before


def test_the_digest_of_the_suites_changes_when_a_file_moves_and_not_by_caches(tmp_path: Path) -> None:
    root = copied_suites(tmp_path)
    before = suite_digest(root)
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert suite_digest(root) == before
    (root / "security" / "test_security.py").rename(root / "security" / "test_other.py")
    assert suite_digest(root) != before


def test_a_judgement_over_the_whole_run_chooses_all_that_asks_the_plugin() -> None:
    catalogue = load_catalogue()
    chosen = catalogue.select([], ["mark.every-image"])
    asking = {row.id for row in catalogue.requirements if row.when == "run"}
    assert chosen == asking | {"mark.every-image"}
    assert catalogue.select([], ["sdk.same-seed"]) == {"sdk.same-seed"}


def test_every_trait_has_a_phrase_for_readers() -> None:
    assert set(TRAIT_PHRASES) == TRAITS


@pytest.mark.parametrize(
    "name",
    [
        "certify/instruments/leaks/judge.py",
        "certify/plan/policies/store-default.toml",
        "reference_engine/oracle/__init__.py",
        "reports/html.py",
    ],
)
def test_the_digest_of_the_harness_changes_with_what_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """B2: a run must not go on, and a certificate not hold, after the judge was changed."""
    for folder in ("certify", "reports", "reference_engine"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(certify, "__path__", [str(tmp_path / "certify")])
    monkeypatch.setattr(catalogue, "_folder_of", lambda package: tmp_path / package.rpartition(".")[2])
    before = harness_digest()
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write("\n# MEMORY_BUDGET = 1e12\n")
    assert harness_digest() != before


def test_the_digest_of_the_harness_is_of_files_and_not_of_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an installation suites and reports lie within certify."""
    here = harness_digest()
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("certify", "reference_engine"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    for folder in ("suites", "reports"):
        shutil.copytree(ROOT / folder, tmp_path / "certify" / folder, ignore=ignore)
    places = {
        "certify.reports": tmp_path / "certify" / "reports",
        "reference_engine": tmp_path / "reference_engine",
    }
    monkeypatch.setattr(certify, "__path__", [str(tmp_path / "certify")])
    monkeypatch.setattr(catalogue, "_folder_of", places.__getitem__)
    assert harness_digest() == here
