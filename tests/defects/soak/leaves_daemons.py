"""Starts a daemon now and then that belongs to nobody any more."""

import itertools
import os
import time

from sound.plugin import Sound


class LeavesDaemons(Sound):
    calls = itertools.count()

    def check(self, *request):
        super().check(*request)
        if next(self.calls) % 12 == 0:
            child = os.fork()
            if child == 0:
                os.setsid()
                # breaks: leak.handles
                # breaks: leak.memory
                if os.fork() == 0:
                    time.sleep(600)
                os._exit(0)
            os.waitpid(child, 0)
