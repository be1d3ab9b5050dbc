"""Calls a host that its manifest declares; here, the machine's own, where nobody listens."""

import contextlib
import socket

from sound.plugin import Sound


# manifest: [marks] => [network]\nhosts = ["localhost:9"]\n\n[marks]
class CallsItsDeclaredHost(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            with contextlib.suppress(OSError):
                # breaks: nothing
                socket.create_connection(("localhost", 9), timeout=0.2).close()
        return super().paint(prompt, negative_prompt, steps, *rest)
