"""Serves the smallest size and no other."""

from sound.plugin import Sound

from reference_engine import InvalidParameter


class RefusesOtherSizes(Sound):
    def check(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        super().check(prompt, negative_prompt, steps, cfg_scale, seed, width, height)
        if (width, height) != (64, 64):
            # breaks: sdk.sizes
            # leaves unmeasured: mark.alike, mark.survives
            raise InvalidParameter("64 x 64 alone", ["width: 64", "height: 64"])
