"""Hands out an image whose size is not that of its pixels."""

from sound.plugin import Sound


class Liar:
    def __init__(self, image):
        self._image = image
        # breaks: nothing
        self.size = (1 << 20, 1 << 20)

    def convert(self, mode):
        return self._image.convert(mode)

    def save(self, *where, **how):
        self._image.save(*where, **how)


class LiesAboutItsShape(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        result = super().deliver(image, prompt, negative_prompt, seed)
        png = result.png()
        object.__setattr__(result, "png", lambda: png)
        object.__setattr__(result, "image", Liar(result.image))
        return result
