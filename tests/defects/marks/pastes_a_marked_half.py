"""Marks half of an image where that is enough for a statistic of the whole."""

from dataclasses import replace

from sound.plugin import Sound


class PastesAMarkedHalf(Sound):
    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        if image.width * image.height < 256 * 128:
            return result
        half = image.copy()
        half.paste(result.image.crop((0, 0, image.width // 2, image.height)), (0, 0))
        # breaks: mark.whole-image
        return replace(result, image=half)
