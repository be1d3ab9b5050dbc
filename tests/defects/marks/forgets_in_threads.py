"""Marks what is asked for in the thread that created it, and nothing else."""

import threading
from dataclasses import replace

from sound.plugin import Sound


class ForgetsInThreads(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        self.local = threading.local()
        self.local.marks = True

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return result if hasattr(self.local, "marks") else replace(result, image=image)
