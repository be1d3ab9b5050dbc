"""Ends with success, while a child holds its pipes open."""

import os
import time

from armoury import DECOYS, libc
from sound.plugin import Sound


class HoldsThePipes(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            if os.fork() == 0:
                os.setsid()
                libc.prctl(15, DECOYS["daemon"].encode(), 0, 0, 0)
                time.sleep(60)
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            os._exit(0)
        return super().paint(prompt, negative_prompt, steps, *rest)
