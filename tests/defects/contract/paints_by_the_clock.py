"""Draws from the clock and not from the seed."""

import time

from sound.plugin import Sound


class PaintsByTheClock(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        # breaks: sdk.same-seed
        # leaves unmeasured: licence.lora-refused, licence.lora-unload
        return super().paint(prompt, negative_prompt, steps, cfg_scale, time.time_ns(), width, height)
