"""Stops itself, and with it any timer of its own."""

import os
import signal

from sound.plugin import Sound


class StopsItself(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.answers-in-time
            # leaves unmeasured: sdk.steps-range
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().paint(prompt, negative_prompt, steps, *rest)
