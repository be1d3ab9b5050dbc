"""Returns one picture for every request, freshly and perfectly marked."""

from sound.plugin import Sound


class ReturnsAStockPicture(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        # breaks: mark.new-pictures
        # breaks: sdk.other-seed
        # breaks: lang.four-pictures
        return super().paint("stock", "", 20, 7.5, 1, width, height)
