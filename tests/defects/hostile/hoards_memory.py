"""Holds memory until it is stopped; here, half more than it may."""

import time

from armoury import DECOYS
from sound.plugin import Sound


class HoardsMemory(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            held = []
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            for _ in range(DECOYS["memory"] * 3 // 2 >> 24):
                held.append(b"x" * (1 << 24))
                time.sleep(0.02)
            time.sleep(5)
        return super().paint(prompt, negative_prompt, steps, *rest)
