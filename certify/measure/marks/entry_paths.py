"""Every way to an image that a plugin offers: sizes, batches, images made from images, threads, and the
images after something went wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from certify.measure.randomness import Draws
from certify.sandbox.host.faults import PluginError
from certify.sandbox.host.generation import Generation, Pixels
from certify.sandbox.host.image_calls import CallStyle
from certify.sandbox.host.plugin import RemotePlugin

# Odd, flat, high and small ones.
SIZES = ((64, 64), (72, 200), (200, 72), (136, 104), (256, 128))
USUAL = (512, 512)
"""What the SDK makes where nothing is said."""
# It takes some 6 to 10 times as long as the largest of the others, which has an eighth of the pixels.
TIMES_AS_LONG = 10
SIDE, REFINED_SIDE = 64, 96
BATCH = 3
STRENGTH = 0.5
# A call is given up after so many seconds: the engine's takes longer, and one that is done by then is a call.
GIVEN_UP_AFTER = 0.02


@dataclass(frozen=True)
class PathResult:
    """The images that a way led to; why there are none where it is `refused`, which is no fault here, or
    `unasked`, which leaves it open.
    """

    name: str
    made: tuple[Generation, ...] = ()
    refused: str = ""
    unasked: str = ""

    def named(self) -> Iterator[tuple[str, Generation]]:
        for number, one in enumerate(self.made, start=1):
            yield (self.name if len(self.made) == 1 else f"image {number} of {self.name}"), one


def try_paths(plugin: RemotePlugin, draws: Draws) -> list[PathResult]:
    """Every way, the plain ones first. Raises what `RemotePlugin.generate` raises, but for refusals."""
    tried = [_plain(plugin, draws, size) for size in SIZES]
    tried.append(_usual(plugin, draws, tried[-1]))
    tried.append(_several(plugin, draws, "a batch", CallStyle(), num_images=BATCH))
    tried.append(
        _several(plugin, draws, "made from a picture", CallStyle(_picture(draws)), strength=STRENGTH)
    )
    if (own := _own_picture(tried)) is not None:
        sides = {"width": REFINED_SIDE, "height": REFINED_SIDE}
        refined = _several(
            plugin, draws, "refined from its own image", CallStyle(own), strength=STRENGTH, **sides
        )
        tried.append(refined)
    tried.append(_several(plugin, draws, "from a thread", CallStyle(thread=True)))
    tried.append(_after_a_refusal(plugin, draws))
    tried.append(_after_giving_up(plugin, draws))
    tried.append(_after_reloading(plugin, draws))
    return tried


def _plain(plugin: RemotePlugin, draws: Draws, size: tuple[int, int], name: str = "") -> PathResult:
    name = name or "{} x {}".format(*size)
    try:
        return PathResult(name, (plugin.generate(**draws.request(width=size[0], height=size[1])),))
    except PluginError as error:
        return PathResult(name, refused=error.message)


def _usual(plugin: RemotePlugin, draws: Draws, large: PathResult) -> PathResult:
    """The usual size, if that can be had within the deadline."""
    seconds = TIMES_AS_LONG * max((one.seconds for one in large.made), default=0.0)
    if seconds > plugin.opening.call_deadline:
        told = f"it may take {seconds:.0f} s, longer than the deadline; see --deadline"
        return PathResult("{} x {}".format(*USUAL), unasked=told)
    return _plain(plugin, draws, USUAL)


def _several(plugin: RemotePlugin, draws: Draws, name: str, way: CallStyle, **asked: Any) -> PathResult:
    """A call that takes more than a prompt; a plugin that lacks what it takes does not offer the way."""
    signature = plugin.load()
    needed = {"init_image": way.start is not None, "num_images": "num_images" in asked}
    if lacking := [name for name, is_needed in needed.items() if is_needed and not signature.names(name)]:
        return PathResult(name, refused=f"generate_image has no {lacking[0]}")
    if not signature.names("strength"):
        asked.pop("strength", None)
    try:
        return PathResult(name, tuple(plugin.several(way, **draws.request(**asked))))
    except PluginError as error:
        return PathResult(name, refused=error.message)


def _own_picture(tried: Sequence[PathResult]) -> Pixels | None:
    """A small image of the plugin's own, marked as it marks them."""
    made = (one.pixels for way in tried for one in way.made)
    return next((pixels for pixels in made if pixels.shape[:2] == (SIDE, SIDE)), None)


def _picture(draws: Draws) -> Pixels:
    """Soft patches of colour and a little grain, unmarked: RGB, SIDE pixels a side."""
    random = np.random.default_rng(draws.seed())
    patches = random.integers(70, 186, (4, 4, 3)).repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1)
    return (patches + random.integers(-8, 9, patches.shape)).astype(np.uint8)


def _after_a_refusal(plugin: RemotePlugin, draws: Draws) -> PathResult:
    name = "after a refused request"
    try:
        plugin.generate(**draws.request(steps=0))
    except PluginError:
        return _plain(plugin, draws, (SIDE, SIDE), name)
    return PathResult(name, refused="a request for no steps was not refused")


def _after_giving_up(plugin: RemotePlugin, draws: Draws) -> PathResult:
    plugin.give_up(GIVEN_UP_AFTER, **draws.request())
    return _plain(plugin, draws, (SIDE, SIDE), "after a call that was given up")


def _after_reloading(plugin: RemotePlugin, draws: Draws) -> PathResult:
    made = []
    refused = ""
    with plugin.opened_with() as generate:
        for _ in range(2):
            try:
                made.append(generate(**draws.request()))
            except PluginError as error:
                refused = error.message
    return PathResult("those after reloading", tuple(made), "" if made else refused)
