"""Marks images that are as high as they are wide, and large ones; no others."""

from dataclasses import replace

from sound.plugin import Sound


class MarksSquaresAlone(Sound):
    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        marked = image.width == image.height or min(image.size) >= 256
        return result if marked else replace(result, image=image)
