"""Opens a file for every request and closes none."""

import os

from sound.plugin import Sound


class ForgetsToClose(Sound):
    def check(self, *request):
        super().check(*request)
        # breaks: leak.handles
        os.open(os.devnull, os.O_RDONLY)
