"""Keeps a megabyte of each request that it refuses, and nothing of the others."""

from sound.plugin import Sound


class KeepsWhatItRefused(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        self.refused = []

    def check(self, *request):
        try:
            super().check(*request)
        except Exception:
            # breaks: leak.memory
            self.refused.append(bytearray(b"x" * (4 << 20)))
            raise
