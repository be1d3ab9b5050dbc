"""Random prompts, seeds and words for each run, drawn from one root seed so that a run can be repeated."""

from __future__ import annotations

import hashlib
import random
import secrets
from typing import Any

from certify.instruments.prompts.scenes import draw_prompt, marker_word

# The smallest image and the fewest steps of the engine: a fifth of a second on one thread.
SMALL = {"width": 64, "height": 64, "steps": 5}


def fresh_root_seed() -> str:
    return str(secrets.randbits(63))


class Draws:
    """The random source of one requirement: `hash(root seed, requirement, case)`."""

    def __init__(self, root: str, requirement: str, case: str = "") -> None:
        digest = hashlib.sha256(f"{root}\0{requirement}\0{case}".encode()).digest()
        self.random = random.Random(digest)

    def seed(self) -> int:
        """A generation seed, 0 to 2**32 - 1."""
        return self.random.getrandbits(32)

    def entropy(self) -> int:
        """128 bits, for values that a plugin must not be able to guess."""
        return self.random.getrandbits(128)

    def prompt(self, language: str = "en") -> str:
        return draw_prompt(self.random, language)

    def word(self) -> str:
        """A made-up word that no plugin has seen."""
        return marker_word(self.random)

    def request(self, language: str = "en", **parameters: Any) -> dict[str, Any]:
        """A small valid request for `generate_image`; keywords replace or add parameters."""
        return {"prompt": self.prompt(language), "seed": self.seed(), **SMALL, **parameters}
