"""Has a thread tell events for ever, so that whoever takes them never comes to the end."""

import os
import threading
import time

from armoury import EVENTS
from sound.plugin import Sound


class NeverStopsTelling(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            os.set_blocking(EVENTS, True)

            def flood():
                while True:
                    os.write(EVENTS, b"ink\n" * 1000)

            # breaks: sdk.stays-alive
            # leaves unmeasured: sdk.steps-range
            threading.Thread(target=flood, daemon=True).start()
            time.sleep(1)
        return super().paint(prompt, negative_prompt, steps, *rest)
