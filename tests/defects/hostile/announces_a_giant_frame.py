"""Announces an answer of eight gigabytes."""

import os

from sound.plugin import Sound


class AnnouncesAGiantFrame(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.answers-wellformed
            # leaves unmeasured: sdk.steps-range
            os.write(4, b"\xff" * 8)
        return super().paint(prompt, negative_prompt, steps, *rest)
