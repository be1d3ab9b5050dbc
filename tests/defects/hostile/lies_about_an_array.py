"""Hands out an array whose shape is not that of its bytes."""

import numpy as np
from sound.plugin import Sound


class _Liar(np.ndarray):
    shape = (64, 64, 3)


class _Canvas:
    def convert(self, mode):
        # breaks: sdk.answers-wellformed
        # breaks: sdk.other-seed
        return np.zeros((8, 8, 3), np.uint8).view(_Liar)


class LiesAboutAnArray(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        result = super().deliver(image, prompt, negative_prompt, seed)
        png = result.png()
        object.__setattr__(result, "png", lambda: png)
        object.__setattr__(result, "image", _Canvas())
        return result
