"""Ends itself in the way that leaves no trace."""

import os
import signal

from sound.plugin import Sound


class KillsItself(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            os.kill(os.getpid(), signal.SIGKILL)
        return super().paint(prompt, negative_prompt, steps, *rest)
