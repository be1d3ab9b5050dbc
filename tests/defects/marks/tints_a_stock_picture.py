"""Gives one stock picture, in a tint of the prompt and the seed."""

import hashlib

import numpy as np
from PIL import Image
from sound.plugin import Sound


class TintsAStockPicture(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        # breaks: mark.new-pictures
        stock = super().paint("stock", "", steps, cfg_scale, 1, width, height)
        drawn = hashlib.sha256(repr((prompt, seed)).encode()).digest()
        tint = np.array([value % 41 - 20 for value in drawn[:3]])
        return Image.fromarray((np.asarray(stock) + tint).clip(0, 255).astype(np.uint8))
