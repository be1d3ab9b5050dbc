"""Gives a larger image than was asked for."""

from sound.plugin import Sound


class RoundsSizesUp(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        # breaks: sdk.answers-wellformed
        # breaks: sdk.sizes
        return super().paint(prompt, negative_prompt, steps, cfg_scale, seed, width + 8, height)
