"""A stand-in plugin that makes plain images and leaks a given number of bytes per call.

With 0 bytes it measures the baseline without a plugin; with more it is the canary that a soak must detect.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Plain:
    """An image of one colour, with the methods that a caller needs."""

    def __init__(self, width: int, height: int, colour: tuple[int, int, int]) -> None:
        self._pixels = np.full((height, width, 3), colour, np.uint8)

    def convert(self, mode: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return self._pixels

    def png(self) -> bytes:
        return self._pixels.tobytes()


class StandIn:
    def __init__(self, leak: int) -> None:
        self._leak = leak
        self._kept: list[bytes] = []

    async def generate_image(
        self, prompt: str, *, steps: int = 28, seed: int = 0, width: int = 64, height: int = 64, **_: Any
    ) -> Plain:
        if steps < 5:
            raise ValueError("steps must lie in 5 to 50.")
        if self._leak:
            self._kept.append(np.random.default_rng(seed).bytes(self._leak))
        return Plain(width, height, (seed % 256, len(prompt) % 256, 0))


def open_plugin(root: str, entry: str, config: dict[str, Any]) -> StandIn:
    return StandIn(int(config["leak"]))
