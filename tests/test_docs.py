"""What is written from data equals the data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from certify.candidate.manifest import Manifest
from certify.plan.catalogue import as_markdown, load_catalogue
from certify.record.results import RequirementResult, Results, schema_text

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_docs_requirements_is_the_catalogue() -> None:
    assert (ROOT / "docs" / "requirements.md").read_text("utf-8") == as_markdown(load_catalogue())


def test_the_published_schema_of_results_is_that_of_the_models() -> None:
    assert (ROOT / "certify" / "record" / "results.schema.json").read_text("utf-8") == schema_text()


def test_every_key_of_the_manifest_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "plugin.md").read_text("utf-8")
    for table, field in Manifest.model_fields.items():
        for name in getattr(field.annotation, "model_fields", [table.rstrip("_")]):
            assert name in text, f"{table}.{name}"


def test_the_readme_counts_the_requirements() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"against {len(load_catalogue().requirements)} requirements" in " ".join(readme.split())


def test_the_glossary_has_at_most_forty_words_in_order_and_each_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    entries = [line for line in text.splitlines() if line.startswith("-")]
    assert text.endswith("\n" + "\n".join(entries) + "\n"), "the list is the end, with a line an entry"
    matches = [re.fullmatch(r"- \*\*([^*]+)\*\*: \S.*\.", line) for line in entries]
    words = [match.group(1).casefold() for match in matches if match]
    assert len(words) == len(entries) <= 40
    assert words == sorted(set(words))


def test_the_table_of_exit_codes_names_every_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "certify", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    commands = re.findall(r"^    (\w[\w-]*)\s", shown, re.MULTILINE)
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert "run" in commands
    assert sorted(re.findall(r"^\| `certify ([\w-]+)` \|", text, re.MULTILINE)) == sorted(commands)


@pytest.mark.parametrize(
    ("start", "model"), [("| key of `results.json`", Results), ("| key of a requirement", RequirementResult)]
)
def test_the_keys_of_the_results_are_in_the_docs(start: str, model: type[BaseModel]) -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    table = text[text.index(start) :].partition("\n\n")[0]
    first_cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    keys = [field.alias or name for name, field in model.model_fields.items()]
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == sorted(keys)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in headings(file), f"{target}#{anchor}"


def headings(page: Path) -> set[str]:
    """As the repository's host makes anchors of them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in lines}
