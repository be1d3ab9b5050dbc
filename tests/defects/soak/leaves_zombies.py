"""Starts a helper process now and then, and waits for none."""

import itertools
import os

from sound.plugin import Sound


class LeavesZombies(Sound):
    calls = itertools.count()

    def check(self, *request):
        super().check(*request)
        if next(self.calls) % 12 == 0 and os.fork() == 0:
            # breaks: leak.handles
            os._exit(0)
