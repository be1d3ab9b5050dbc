"""Writes lines without end; here, 80 MiB."""

import os

from sound.plugin import Sound


class FloodsItsOutput(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            for _ in range(80):
                os.write(1, b"ink " * (1 << 18))
        return super().paint(prompt, negative_prompt, steps, *rest)
