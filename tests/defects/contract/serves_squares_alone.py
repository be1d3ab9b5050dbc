"""Makes every picture square."""

from sound.plugin import Sound


class ServesSquaresAlone(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        side = min(width, height)
        # breaks: sdk.sizes
        # breaks: sdk.answers-wellformed
        return super().paint(prompt, negative_prompt, steps, cfg_scale, seed, side, side)
