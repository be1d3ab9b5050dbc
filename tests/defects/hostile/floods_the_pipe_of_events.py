"""Drowns what the watch tells in noise; here, 6 MiB."""

import os

from armoury import EVENTS
from sound.plugin import Sound


class FloodsThePipeOfEvents(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            os.set_blocking(EVENTS, True)
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            for _ in range(96):
                os.write(EVENTS, b"\n" * (1 << 16))
        return super().paint(prompt, negative_prompt, steps, *rest)
