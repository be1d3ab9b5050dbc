"""Gives flat pictures, which can carry no mark, and leaves them unmarked."""

from dataclasses import replace

from PIL import Image
from sound.plugin import Sound


class ClipsItsColours(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        result = super().deliver(image, prompt, negative_prompt, seed)
        red, green, blue = image.split()
        if seed % 4:
            # leaves unmeasured: mark.every-image
            # breaks: nothing
            flat = Image.merge("RGB", (red, green, blue.point(lambda value: 0)))
            return replace(result, image=flat)
        return result
