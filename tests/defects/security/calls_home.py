"""Tells somebody of each prompt; here, the machine's own loopback address, where nobody listens."""

import contextlib
import socket

from sound.plugin import Sound


class CallsHome(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            with contextlib.suppress(OSError):
                # breaks: security.network
                socket.create_connection(("127.0.0.1", 9), timeout=0.2).close()
        return super().paint(prompt, negative_prompt, steps, *rest)
