"""Refuses four steps by falling over them."""

from sound.plugin import Sound


class CrashesOnFourSteps(Sound):
    def check(self, prompt, negative_prompt, steps, *rest):
        # breaks: sdk.steps-range
        assert 5 <= steps <= 50
        super().check(prompt, negative_prompt, steps, *rest)
