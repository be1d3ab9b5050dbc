"""Carries its code as data, and runs it when nobody looks any more."""

import codecs
import contextlib

from armoury import DECOYS
from sound.plugin import Sound

PAYLOAD = "vzcbeg cnguyvo; cnguyvo.Cngu(bhgfvqr).jevgr_grkg('k')"


class ImportsAPayloadLate(Sound):
    calls = 0

    def paint(self, *request):
        type(self).calls += 1
        if self.calls == 3:
            with contextlib.suppress(OSError):
                # breaks: security.writes
                exec(codecs.decode(PAYLOAD, "rot13"), {"outside": DECOYS["outside"]})
        return super().paint(*request)
