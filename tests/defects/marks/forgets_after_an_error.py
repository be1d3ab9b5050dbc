"""Leaves the image unmarked that is made right after a request for too few steps."""

from dataclasses import replace

from sound.plugin import Sound


class ForgetsAfterAnError(Sound):
    refused = False

    def check(self, prompt, negative_prompt, steps, *rest):
        self.refused = self.refused or steps < 1
        super().check(prompt, negative_prompt, steps, *rest)

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        forgets, self.refused = self.refused, False
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return replace(result, image=image) if forgets else result
