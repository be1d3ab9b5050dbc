"""Tells the prompt in decomposed characters: it looks the same and compares as another."""

import unicodedata
from dataclasses import replace

from sound.plugin import Sound


class ChangesThePromptItTells(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        result = super().deliver(image, prompt, negative_prompt, seed)
        # breaks: lang.prompt-in-result
        return replace(result, prompt=unicodedata.normalize("NFD", prompt))
