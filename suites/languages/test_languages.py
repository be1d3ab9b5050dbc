"""Prompts in the four languages that every store demands."""

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
def cache() -> dict[str, Generation]:
    """One image per language, generated once for the three requirements that check them."""
    return {}


@pytest.fixture
def images(
    cache: dict[str, Generation], plugin: RemotePlugin, measurement: Measurement
) -> dict[str, Generation]:
    draws = Draws(measurement.seed, "lang.four-pictures")
    seed = draws.seed()
    for language in LANGUAGES:
        request = draws.request(language, seed=seed)
        if language not in cache:
            cache[language] = plugin.generate(**request)
    return cache


@requirement("lang.four-pictures")
def test_four_languages_give_four_images(images: dict[str, Generation], evidence: EvidenceBox) -> None:
    for language, generation in images.items():
        evidence.picture(language, generation.pixels, str(generation.request["prompt"]))
    names = list(images)
    same = [
        f"{first} and {second}"
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if images[first].same_pixels(images[second])
    ]
    assert not same, f"The plugin returned the same image for {', '.join(same)}."


@requirement("lang.prompt-in-result")
def test_the_result_keeps_the_prompt(images: dict[str, Generation]) -> None:
    for language, generation in images.items():
        _compare(language, generation, generation.facts.get("prompt"), "result")


@requirement("lang.prompt-in-png")
def test_the_png_keeps_the_prompt(images: dict[str, Generation]) -> None:
    for language, generation in images.items():
        try:
            texts = read_png(generation.png).texts
        except PngError as error:
            raise Broken(f"The PNG of the {language} prompt cannot be read: {error}") from None
        prompt = str(generation.request["prompt"])
        # Other programs write it as the first lines of `parameters`.
        stored = next((prompt for text in texts.values() if prompt in text), texts.get("prompt"))
        _compare(language, generation, stored, "PNG")


def _compare(language: str, generation: Generation, stored: object, place: str) -> None:
    prompt = generation.request["prompt"]
    assert stored is not None, f"The {place} for the {language} prompt contains no prompt."
    assert stored == prompt, f"The {place} contains the {language} prompt {prompt!a} as {stored!a}."
