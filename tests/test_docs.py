"""What is written from data equals the data."""

from __future__ import annotations

import re
from pathlib import Path

from certify.candidate.manifest import Manifest
from certify.plan.catalogue import as_markdown, load_catalogue
from certify.record.results import schema_text

ROOT = Path(__file__).parent.parent


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
