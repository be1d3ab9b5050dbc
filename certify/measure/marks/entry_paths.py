"""Tries every path to an image that a plugin offers: sizes, batches, init images, threads, and calls after an
error.
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

# Width and height in pixels: small, wide, high and odd ones.
SIZES = ((64, 64), (72, 200), (200, 72), (136, 104), (256, 128))
USUAL = (512, 512)
"""The default size of the SDK."""
# The usual size takes 6 to 10 times as long as the largest of SIZES, which has an eighth of the pixels.
TIMES_AS_LONG = 10
SIDE, REFINED_SIDE = 64, 96
BATCH = 3
STRENGTH = 0.5
# Seconds after which a call is cancelled; a call of the engine takes longer.
GIVEN_UP_AFTER = 0.02


@dataclass(frozen=True)
class PathResult:
    """The images of one path. Without images, the reason is in `refused` (not offered, which is no fault
    here) or in `skipped` (not tried, which leaves the result open)."""

    name: str
    made: tuple[Generation, ...] = ()
    refused: str = ""
    skipped: str = ""

    def named(self) -> Iterator[tuple[str, Generation]]:
        for number, generation in enumerate(self.made, start=1):
            yield (self.name if len(self.made) == 1 else f"image {number} of {self.name}"), generation


def try_paths(plugin: RemotePlugin, draws: Draws) -> list[PathResult]:
    """Tries every path, plain calls first. Raises as `RemotePlugin.generate`, except PluginError."""
    results = [_plain(plugin, draws, size) for size in SIZES]
    results.append(_usual(plugin, draws, results[-1]))
    results.append(_several(plugin, draws, "a batch", CallStyle(), num_images=BATCH))
    results.append(_several(plugin, draws, "made from an image", CallStyle(_image(draws)), strength=STRENGTH))
    if (own := _own_image(results)) is not None:
        sides = {"width": REFINED_SIDE, "height": REFINED_SIDE}
        refined = _several(
            plugin, draws, "refined from its own image", CallStyle(own), strength=STRENGTH, **sides
        )
        results.append(refined)
    results.append(_several(plugin, draws, "from a thread", CallStyle(thread=True)))
    results.append(_after_a_refusal(plugin, draws))
    results.append(_after_giving_up(plugin, draws))
    results.append(_after_reloading(plugin, draws))
    return results


def _plain(plugin: RemotePlugin, draws: Draws, size: tuple[int, int], name: str = "") -> PathResult:
    name = name or "{} x {}".format(*size)
    try:
        return PathResult(name, (plugin.generate(**draws.request(width=size[0], height=size[1])),))
    except PluginError as error:
        return PathResult(name, refused=error.message)


def _usual(plugin: RemotePlugin, draws: Draws, large: PathResult) -> PathResult:
    """The usual size, if it is likely to be ready within the deadline."""
    seconds = TIMES_AS_LONG * max((generation.seconds for generation in large.made), default=0.0)
    if seconds > plugin.opening.call_deadline:
        reason = f"it may take {seconds:.0f} s, longer than the deadline; see --deadline"
        return PathResult("{} x {}".format(*USUAL), skipped=reason)
    return _plain(plugin, draws, USUAL)


def _several(
    plugin: RemotePlugin, draws: Draws, name: str, style: CallStyle, **parameters: Any
) -> PathResult:
    """A call with more parameters; a plugin that lacks one of them does not offer the path."""
    signature = plugin.load()
    needed = {"init_image": style.start is not None, "num_images": "num_images" in parameters}
    if lacking := [name for name, is_needed in needed.items() if is_needed and not signature.names(name)]:
        return PathResult(name, refused=f"generate_image has no {lacking[0]}")
    if not signature.names("strength"):
        parameters.pop("strength", None)
    try:
        return PathResult(name, tuple(plugin.several(style, **draws.request(**parameters))))
    except PluginError as error:
        return PathResult(name, refused=error.message)


def _own_image(results: Sequence[PathResult]) -> Pixels | None:
    """A small image that the plugin made, with the plugin's mark."""
    made = (generation.pixels for result in results for generation in result.made)
    return next((pixels for pixels in made if pixels.shape[:2] == (SIDE, SIDE)), None)


def _image(draws: Draws) -> Pixels:
    """An unmarked RGB image of soft colour patches with a little noise, SIDE pixels per side."""
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
