"""Lets half of its images out unmarked, told by the seed."""

from dataclasses import replace

from sound.plugin import Sound


class MarksEveryOtherImage(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        result = super().deliver(image, prompt, negative_prompt, seed)
        # breaks: mark.every-image
        return result if seed % 2 else replace(result, image=image)
