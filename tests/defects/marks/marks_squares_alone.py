"""Marks images that are as high as they are wide."""

from dataclasses import replace

from sound.plugin import Sound


class MarksSquaresAlone(Sound):
    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return result if image.width == image.height else replace(result, image=image)
