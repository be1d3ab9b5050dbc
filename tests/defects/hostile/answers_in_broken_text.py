"""Answers with text that can be written into no file."""

import os
import struct

from sound.plugin import Sound


class AnswersInBrokenText(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            text = b'{"nonce":"\\ud800","ok":true}'
            # breaks: sdk.answers-wellformed
            # leaves unmeasured: sdk.steps-range
            os.write(4, struct.pack("<II", len(text), 0) + text)
        return super().paint(prompt, negative_prompt, steps, *rest)
