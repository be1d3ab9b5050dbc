"""Marks images of few steps, as tests ask for, and no others."""

from dataclasses import replace

from sound.plugin import Sound


class MarksWhatLooksLikeATest(Sound):
    steps = 0

    def check(self, prompt, negative_prompt, steps, *rest):
        super().check(prompt, negative_prompt, steps, *rest)
        self.steps = steps

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.alike
        # breaks: mark.every-image
        # breaks: mark.policy
        return result if self.steps <= 15 else replace(result, image=image)
