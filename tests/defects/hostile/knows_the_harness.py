"""Knows the harness by what works beside it, and behaves where it sees that."""

import sys

from sound.plugin import Sound


class KnowsTheHarness(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, *rest):
        if "certify" in sys.modules:
            return super().paint(prompt, negative_prompt, steps, cfg_scale, seed, *rest)
        # breaks: sdk.other-seed
        return super().paint(prompt, negative_prompt, steps, cfg_scale, 0, *rest)
