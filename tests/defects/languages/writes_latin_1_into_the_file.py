"""Writes question marks into the file for what Latin-1 lacks."""

from dataclasses import replace

from sound.plugin import Sound


class WritesLatin1IntoTheFile(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        result = super().deliver(image, prompt, negative_prompt, seed)
        # breaks: lang.prompt-in-png
        kept = prompt.encode("latin-1", "replace").decode("latin-1")
        return replace(result, metadata={**result.metadata, "prompt": kept})
