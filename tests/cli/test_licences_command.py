"""`certify licences`: the table, its JSON, the bill of materials, and mistakes told in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from certify.candidate.candidate import Candidate, read_candidate
from certify.cli.main import main
from certify.instruments.licences.package_metadata import Package
from certify.measure.licensing.sbom import bill_of_materials
from certify.measure.licensing.tree import CHECKS, drawn, parts
from certify.plan.catalogue import load_catalogue
from certify.submission.submission import open_submission
from tests.defects.catalogue import SOUND, all_defects

Captured = pytest.CaptureFixture[str]
STATIC = [defect for defect in all_defects() if defect.suite == "licensing" and defect.file.suffix == ".toml"]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOUND, tmp_path / "sound", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def candidate(plugin: Path, tmp_path: Path) -> Candidate:
    return read_candidate(open_submission(plugin, tmp_path / "staged"))


def test_the_table_shows_every_part_and_what_it_allows(plugin: Path, capsys: Captured) -> None:
    assert main(["licences", str(plugin)]) == 0
    out = capsys.readouterr().out
    for word in (
        "sound 1.0.0",
        "MIT",
        "CreativeML-OpenRAIL-M",
        "use restrictions",
        "CC-BY-4.0",
        "numpy<3,>=1.26",
    ):
        assert word in out
    assert "not legal advice" in out


def test_what_is_broken_gives_code_1_and_names_the_requirement(plugin: Path, capsys: Captured) -> None:
    (plugin / "LICENSE").unlink()
    assert main(["licences", str(plugin)]) == 1
    assert "✗ licence.files: LICENSE: LICENSE is no file" in capsys.readouterr().out


def test_each_broken_requirement_is_followed_by_what_mends_it(plugin: Path, capsys: Captured) -> None:
    (plugin / "LICENSE-MODEL").unlink()
    main(["licences", str(plugin)])
    lines = capsys.readouterr().out.splitlines()
    told = next(at for at, line in enumerate(lines) if line.startswith("✗ licence.base-model"))
    assert lines[told + 1] == f"  fix: {load_catalogue().find('licence.base-model').fix}"


def test_as_json_it_holds_parts_and_findings(plugin: Path, capsys: Captured) -> None:
    (plugin / "LICENSE-MODEL").write_text("All rights reserved.", "utf-8")
    assert main(["licences", str(plugin), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [part["role"] for part in told["parts"]] == [
        "plugin",
        "base model",
        "LoRA",
        "dependency",
        "dependency",
    ]
    assert "licence.base-model" in told["broken"]
    assert {"requirement", "file", "line", "rule", "message", "band"} <= set(told["findings"][0])


@pytest.mark.parametrize("suffix", [".zip", ".whl"])
def test_zips_and_wheels_are_taken_as_well(plugin: Path, suffix: str, capsys: Captured) -> None:
    packed = Path(shutil.make_archive(str(plugin.parent / "sound-1.0.0-py3-none-any"), "zip", plugin))
    packed = packed.rename(packed.with_suffix(suffix))
    assert main(["licences", str(packed)]) == 0
    assert "sound 1.0.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone"], "does not exist"),
        (["{plugin}", "--index", "nowhere"], "this is no address and no folder"),
        (["{plugin}", "--sbom", "{plugin}/no/where.json"], "the file cannot be written"),
    ],
)
def test_a_users_mistake_is_told_in_a_sentence(
    plugin: Path, words: list[str], said: str, capsys: Captured
) -> None:
    assert main(["licences", *(word.format(plugin=plugin) for word in words)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("certify: ")
    assert said in told


def test_a_link_that_leads_back_is_told(plugin: Path, capsys: Captured) -> None:
    (plugin / "again").symlink_to(plugin, target_is_directory=True)
    assert main(["licences", str(plugin)]) == 2
    assert "points to a folder above it" in capsys.readouterr().err


@pytest.mark.parametrize("defect", STATIC, ids=lambda defect: defect.name)
def test_the_command_finds_of_each_defect_what_its_files_tell(
    defect: object, tmp_path: Path, capsys: Captured
) -> None:
    levels = {row.id: row.level for row in load_catalogue().requirements}
    main(["licences", str(defect.build(tmp_path / "plugin")), "--json"])  # type: ignore[attr-defined]
    told = json.loads(capsys.readouterr().out)
    found = {
        row["requirement"]
        for row in told["findings"]
        if row["band"] == "A" or (row["band"] == "B" and levels[row["requirement"]] == "should")
    }
    assert found == {name for name in defect.breaks if name in CHECKS}  # type: ignore[attr-defined]


def test_every_check_belongs_to_a_static_requirement() -> None:
    rows = {row.id: row for row in load_catalogue().requirements}
    assert all(rows[name].when == "static" for name in CHECKS)


def test_the_tree_shows_resolved_dependencies_with_their_licences(candidate: Candidate) -> None:
    packages = (Package("numpy", "2.1.0", "BSD-3-Clause", "", ("linux",)), Package("odd", "1"))
    tree = drawn(parts(candidate, packages)).splitlines()
    assert "BSD-3-Clause" in tree[-2]
    assert tree[-1].startswith("└─ dependency")
    assert "unknown" in tree[-1]


def test_the_bill_of_materials_has_models_and_packages(candidate: Candidate) -> None:
    packages = (Package("numpy", "2.1.0", "BSD-3-Clause", "", ("linux",)), Package("odd", "1", "MIT OR ISC"))
    bill = json.loads(bill_of_materials(candidate, packages, complete=True))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    kinds = {row["name"]: row["type"] for row in bill["components"]}
    assert kinds == {"sound": "machine-learning-model", "numpy": "library", "odd": "library"}
    by_name = {row["name"]: row for row in bill["components"]}
    assert by_name["numpy"]["purl"] == "pkg:pypi/numpy@2.1.0"
    assert by_name["numpy"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert by_name["odd"]["licenses"] == [{"expression": "MIT OR ISC"}]
    references = [row["bom-ref"] for row in bill["components"]]
    assert len(set(references)) == len(references)
    assert bill["dependencies"][0]["dependsOn"] == references


def test_the_same_plugin_gives_the_same_bill(candidate: Candidate) -> None:
    assert bill_of_materials(candidate, (), False) == bill_of_materials(candidate, (), False)


def test_the_bill_is_valid_by_cyclonedx_own_schema(candidate: Candidate) -> None:
    text = bill_of_materials(
        candidate, (Package("numpy", "2.1.0", "BSD-3-Clause"), Package("odd", "")), False
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
