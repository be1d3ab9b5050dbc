"""Takes 50 for the first number that is too large."""

from sound.plugin import Sound

from reference_engine import InvalidParameter


class RefusesFiftySteps(Sound):
    def check(self, prompt, negative_prompt, steps, *rest):
        # breaks: sdk.steps-range
        if steps >= 50:
            raise InvalidParameter("fewer than 50 steps, please", ["steps: fewer than 50"])
        super().check(prompt, negative_prompt, steps, *rest)
