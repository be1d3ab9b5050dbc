"""Writes a whole answer, with a nonce that it guesses, into every open descriptor."""

import contextlib
import json
import os
import struct

from sound.plugin import Sound


class GuessesTheNonce(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            text = json.dumps({"nonce": os.urandom(16).hex(), "ok": True, "width": 64, "height": 64}).encode()
            for descriptor in range(65):
                with contextlib.suppress(OSError):
                    # breaks: sdk.answers-wellformed
                    # leaves unmeasured: sdk.steps-range
                    os.write(descriptor, struct.pack("<II", len(text), 0) + text)
        return super().paint(prompt, negative_prompt, steps, *rest)
