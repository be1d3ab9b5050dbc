"""Writes until it is stopped; here, twice what it may."""

import time
from pathlib import Path

from armoury import DECOYS
from sound.plugin import Sound


class FillsTheDisk(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            with Path("fill").open("wb") as file:
                # breaks: sdk.stays-alive
                # leaves unmeasured: sdk.steps-range
                for _ in range(DECOYS["disk"] * 2 >> 20):
                    file.write(b"x" * (1 << 20))
                file.flush()
                time.sleep(5)
        return super().paint(prompt, negative_prompt, steps, *rest)
