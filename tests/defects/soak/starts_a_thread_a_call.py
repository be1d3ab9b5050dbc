"""Starts a thread for every eighth request, and each of them waits for ever."""

import itertools
import threading

from sound.plugin import Sound


class StartsAThreadACall(Sound):
    calls = itertools.count()

    def check(self, *request):
        super().check(*request)
        if next(self.calls) % 8 == 0:
            # breaks: leak.handles
            threading.Thread(target=threading.Event().wait, daemon=True).start()
