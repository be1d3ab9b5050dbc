"""Gives one image a prompt, whatever the seed."""

from sound.plugin import Sound


class IgnoresTheSeed(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        # breaks: sdk.other-seed
        return super().paint(prompt, negative_prompt, steps, cfg_scale, 7, width, height)
