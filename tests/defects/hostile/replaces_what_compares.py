"""Gives one picture for every seed, in a process where all arrays and digests are equal."""

import hashlib

import numpy as np
from sound.plugin import Sound


class ReplacesWhatCompares(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        np.array_equal = np.allclose = lambda *_, **__: True
        hashlib.sha256 = lambda *_: hashlib.blake2b(b"")

    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, *rest):
        # breaks: sdk.other-seed
        return super().paint(prompt, negative_prompt, steps, cfg_scale, 0, *rest)
