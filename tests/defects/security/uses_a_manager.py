"""Keeps a counter in a process of its own, reached over a local socket."""

import multiprocessing

from sound.plugin import Sound


class UsesAManager(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: nothing
        self.manager = multiprocessing.get_context("fork").Manager()
        self.counts = self.manager.dict(painted=0)

    def paint(self, *request):
        self.counts["painted"] += 1
        return super().paint(*request)
