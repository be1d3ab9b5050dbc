"""Forks, and forks again; here, two hundred times."""

import contextlib
import os
import time

from sound.plugin import Sound


class ForksWithoutEnd(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            for _ in range(200):
                with contextlib.suppress(OSError):
                    if os.fork() == 0:
                        time.sleep(5)
                        os._exit(0)
            time.sleep(5)
        return super().paint(prompt, negative_prompt, steps, *rest)
