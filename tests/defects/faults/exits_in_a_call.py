"""Ends the process with success in the middle of a request."""

import os

from sound.plugin import Sound


class ExitsInACall(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            os._exit(0)
        return super().paint(prompt, negative_prompt, steps, *rest)
