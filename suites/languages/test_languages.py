"""Prompts in the four languages that every store asks for."""

from __future__ import annotations

import pytest

from certify.instruments.files.png import PngError, read_png
from certify.instruments.prompts.scenes import LANGUAGES
from certify.measure.checks import Broken, requirement
from certify.measure.context import Measurement
from certify.measure.randomness import Draws
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.plugin import RemotePlugin


@pytest.fixture(scope="module")
def gallery() -> dict[str, Generation]:
    """One picture a language, made once for the three requirements that look at them."""
    return {}


@pytest.fixture
def pictures(
    gallery: dict[str, Generation], plugin: RemotePlugin, measurement: Measurement
) -> dict[str, Generation]:
    draws = Draws(measurement.seed, "lang.four-pictures")
    seed = draws.seed()
    for language in LANGUAGES:
        request = draws.request(language, seed=seed)
        if language not in gallery:
            gallery[language] = plugin.generate(**request)
    return gallery


@requirement("lang.four-pictures")
def test_four_languages_give_four_pictures(pictures: dict[str, Generation], evidence: EvidenceBox) -> None:
    for language, generation in pictures.items():
        evidence.picture(language, generation.pixels, str(generation.request["prompt"]))
    names = list(pictures)
    same = [
        f"{first} and {second}"
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if pictures[first].same_pixels(pictures[second])
    ]
    assert not same, f"The same image came for {', '.join(same)}."


@requirement("lang.prompt-in-result")
def test_the_result_keeps_the_prompt(pictures: dict[str, Generation]) -> None:
    for language, generation in pictures.items():
        _compare(language, generation, generation.facts.get("prompt"), "result")


@requirement("lang.prompt-in-png")
def test_the_png_keeps_the_prompt(pictures: dict[str, Generation]) -> None:
    for language, generation in pictures.items():
        try:
            texts = read_png(generation.png).texts
        except PngError as error:
            raise Broken(f"The PNG of the {language} prompt cannot be read: {error}") from None
        asked = str(generation.request["prompt"])
        # Other programs of the field keep it as the first lines of `parameters`.
        held = next((asked for text in texts.values() if asked in text), texts.get("prompt"))
        _compare(language, generation, held, "PNG")


def _compare(language: str, generation: Generation, kept: object, place: str) -> None:
    asked = generation.request["prompt"]
    assert kept is not None, f"The {place} of the {language} prompt has no prompt."
    assert kept == asked, f"The {language} prompt {asked!a} became {kept!a} in the {place}."
