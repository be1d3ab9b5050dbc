"""Reads from address zero."""

import ctypes

from sound.plugin import Sound


class SegfaultsInACall(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            ctypes.string_at(0)
        return super().paint(prompt, negative_prompt, steps, *rest)
