"""Waits for what never comes."""

import threading

from sound.plugin import Sound


class HangsInACall(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.answers-in-time
            # leaves unmeasured: sdk.steps-range
            threading.Event().wait()
        return super().paint(prompt, negative_prompt, steps, *rest)
