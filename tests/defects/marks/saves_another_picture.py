"""Marks the picture that it returns, and saves another."""

from PIL import ImageOps
from sound.plugin import Sound


class SavesAnotherPicture(Sound):
    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        other = super().deliver(ImageOps.mirror(image), *rest)
        # breaks: mark.file-is-image
        object.__setattr__(result, "png", other.png)
        return result
