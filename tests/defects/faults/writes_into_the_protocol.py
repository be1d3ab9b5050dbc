"""Writes an answer of its own into every open descriptor."""

import contextlib
import os

from sound.plugin import Sound


class WritesIntoTheProtocol(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            for descriptor in range(3, 64):
                with contextlib.suppress(OSError):
                    # breaks: sdk.answers-wellformed
                    # leaves unmeasured: sdk.steps-range
                    os.write(descriptor, b"\x0b\x00\x00\x00\x00\x00\x00\x00" + b'{"ok":true}')
        return super().paint(prompt, negative_prompt, steps, *rest)
