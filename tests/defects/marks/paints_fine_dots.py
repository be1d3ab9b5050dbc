"""Paints dots so fine and so strong that no resized copy of a large image keeps the mark."""

import numpy as np
from PIL import Image
from sound.plugin import Sound


class PaintsFineDots(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        if min(width, height) < 256:
            return super().paint(prompt, negative_prompt, steps, cfg_scale, seed, width, height)
        # breaks: mark.survives
        dots = np.random.default_rng(seed).integers(0, 2, (height, width, 1), np.uint8)
        return Image.fromarray((255 * dots).repeat(3, axis=2))
