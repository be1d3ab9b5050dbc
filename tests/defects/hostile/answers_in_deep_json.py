"""Answers with lists in lists in lists."""

import os
import struct

from sound.plugin import Sound


class AnswersInDeepJson(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            text = b'{"ok":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
            # breaks: sdk.answers-wellformed
            # leaves unmeasured: sdk.steps-range
            os.write(4, struct.pack("<II", len(text), 0) + text)
        return super().paint(prompt, negative_prompt, steps, *rest)
