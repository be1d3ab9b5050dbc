"""The languages that the manifest lists."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.instruments.prompts.scenes import LANGUAGES
from certify.measure.checks import requirement


@requirement("lang.declared")
def test_the_manifest_lists_the_four_languages(candidate: Candidate) -> None:
    declared = {language.partition("-")[0].lower() for language in candidate.manifest.plugin.languages}
    missing = [language for language in LANGUAGES if language not in declared]
    assert not missing, f"The manifest does not list {', '.join(missing)}."
