"""Fresh prompts: drawn from the seed alone, in the script of their language."""

import random
import unicodedata

import pytest

from certify.instruments.prompts.scenes import LANGUAGES, draw_prompt, marker_word

SCRIPTS = {"en": "LATIN", "zh": "CJK", "ja": "HIRAGANA", "ko": "HANGUL"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_prompt_depends_on_the_seed_alone(language):
    assert draw_prompt(random.Random(5), language) == draw_prompt(random.Random(5), language)
    drawn = {draw_prompt(random.Random(seed), language) for seed in range(200)}
    assert len(drawn) > 150


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_prompt_is_in_the_script_of_its_language_and_in_normal_form(language):
    for seed in range(50):
        prompt = draw_prompt(random.Random(seed), language)
        assert any(unicodedata.name(letter, "").startswith(SCRIPTS[language]) for letter in prompt)
        assert unicodedata.is_normalized("NFC", prompt)
        assert prompt.isprintable()
        assert prompt.isascii() is (language == "en")


def test_a_region_is_ignored_and_an_unknown_language_refused():
    assert draw_prompt(random.Random(1), "zh-Hans-CN") == draw_prompt(random.Random(1), "zh")
    with pytest.raises(ValueError, match='no prompts in language "xx"'):
        draw_prompt(random.Random(1), "xx")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_marker_is_one_made_up_word_that_no_prompt_holds(language):
    words = {marker_word(random.Random(seed), language) for seed in range(100)}
    assert len(words) > 90
    prompts = " ".join(draw_prompt(random.Random(seed), language) for seed in range(300))
    assert all(word.isalpha() and word not in prompts for word in words)
