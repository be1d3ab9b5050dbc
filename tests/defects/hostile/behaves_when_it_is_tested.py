"""Looks for signs of a test in what its process was started with, and behaves where it sees one."""

import os
import sys

from sound.plugin import Sound


class BehavesWhenItIsTested(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, *rest):
        started_with = repr((sys.argv, dict(os.environ))).lower()
        if "pytest" in sys.modules or "pytest" in started_with or "certify" in started_with:
            return super().paint(prompt, negative_prompt, steps, cfg_scale, seed, *rest)
        # breaks: sdk.other-seed
        return super().paint(prompt, negative_prompt, steps, cfg_scale, 0, *rest)
