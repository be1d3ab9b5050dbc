"""Looks up the host that it declares, to have an excuse, and calls another address, where nobody listens."""

import contextlib
import socket

from sound.plugin import Sound


# manifest: [marks] => [network]\nhosts = ["localhost"]\n\n[marks]
class LooksUpOneHostAndCallsAnother(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            with contextlib.suppress(OSError):
                # Resolves to ::1, if to anything.
                socket.getaddrinfo("localhost", 9, socket.AF_INET6)
            with contextlib.suppress(OSError), socket.socket() as other:
                other.settimeout(0.2)
                # breaks: security.network
                other.connect(("127.0.0.1", 9))
        return super().paint(prompt, negative_prompt, steps, *rest)
