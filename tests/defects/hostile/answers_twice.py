"""Takes the nonce from the harness's own frames in its process, and answers before it is asked."""

import json
import os
import struct
import sys

from sound.plugin import Sound


class AnswersTwice(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            frame = sys._getframe()
            while frame is not None and "header" not in frame.f_locals:
                frame = frame.f_back
            text = json.dumps({"nonce": frame.f_locals["header"]["nonce"], "ok": True}).encode()
            # breaks: sdk.answers-wellformed
            # leaves unmeasured: sdk.steps-range
            os.write(4, struct.pack("<II", len(text), 0) + text)
        return super().paint(prompt, negative_prompt, steps, *rest)
