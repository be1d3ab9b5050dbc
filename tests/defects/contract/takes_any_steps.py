"""Serves whatever number of steps is asked for."""

from sound.plugin import Sound


class TakesAnySteps(Sound):
    def check(self, prompt, negative_prompt, steps, *rest):
        # breaks: sdk.steps-range
        super().check(prompt, negative_prompt, min(max(steps, 5), 50), *rest)
