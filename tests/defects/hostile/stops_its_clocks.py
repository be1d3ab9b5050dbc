"""Takes twice the time that it has, by clocks that stand still."""

import time

from armoury import DECOYS
from sound.plugin import Sound


class StopsItsClocks(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            for name in ("time", "monotonic", "perf_counter", "process_time"):
                setattr(time, name, lambda: 1.0)
            # breaks: sdk.answers-in-time
            # leaves unmeasured: sdk.steps-range
            time.sleep(2 * DECOYS["deadline"])
        return super().paint(prompt, negative_prompt, steps, *rest)
