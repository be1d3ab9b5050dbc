"""Lets every third image out unmarked."""

from dataclasses import replace

from sound.plugin import Sound


class MarksTwoOfThree(Sound):
    made = 0

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        self.made += 1
        # breaks: mark.every-image
        # breaks: mark.every-way
        # breaks: mark.fresh-payload
        # breaks: mark.policy
        return result if self.made % 3 else replace(result, image=image)
