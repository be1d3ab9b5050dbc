"""Asks a Python of its own, which knows nothing of any wall, for the harness, and behaves if it is there."""

import multiprocessing
import subprocess
import sys

from sound.plugin import Sound

QUESTION = "import certify"


def has_the_harness(queue):
    queue.put([name for name in sys.modules if "certify" in name] or "certify" in repr(sys.path))


class AsksAFreshPython(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.programs as warned
        self.there = not subprocess.run([sys.executable, "-c", QUESTION], capture_output=True).returncode
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        child = context.Process(target=has_the_harness, args=(queue,))
        child.start()
        child.join()
        self.there = self.there or child.exitcode != 0 or bool(queue.get())

    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, *rest):
        # breaks: sdk.other-seed
        return super().paint(prompt, negative_prompt, steps, cfg_scale, seed if self.there else 0, *rest)
