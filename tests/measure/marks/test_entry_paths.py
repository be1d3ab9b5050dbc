"""Which paths are tried; a plugin that lacks one is not at fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from certify.measure.marks.entry_paths import BATCH, REFINED_SIDE, SIZES, USUAL, try_paths
from certify.measure.randomness import Draws
from certify.sandbox.host.faults import PluginError
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.image_calls import CallStyle
from certify.sandbox.host.replies import Parameter, Signature


class APlugin:
    """As much of a plugin as the ways ask for; it refuses what `refuses` names."""

    def __init__(self, *names: str, keywords: bool = False, refuses: str = "") -> None:
        kinds = [
            *((name, "keyword_only") for name in names),
            *([("more", "var_keyword")] if keywords else []),
        ]
        self.signature = Signature(
            callable=True,
            asynchronous=True,
            parameters=tuple(Parameter(name=n, kind=k, has_default=True, default=None) for n, k in kinds),
        )
        self.refuses = refuses
        self.opening = SimpleNamespace(call_deadline=6.0)
        self.ways: list[tuple[CallStyle, dict[str, Any]]] = []

    def load(self) -> Signature:
        return self.signature

    def generate(self, **request: Any) -> Generation:
        if request["steps"] < 5 or self.refuses == "everything":
            raise PluginError("no", "", "", "", "")
        pixels = np.zeros((request["height"], request["width"], 3), np.uint8)
        return Generation(request, pixels, b"", {}, 0.1, "made.up")

    def several(self, way: CallStyle, **request: Any) -> list[Generation]:
        self.ways.append((way, request))
        if self.refuses == "pictures" and way.start is not None:
            raise PluginError("only words", "", "", "", "")
        return [self.generate(**request)] * request.get("num_images", 1)

    def give_up(self, after: float, **request: Any) -> None: ...

    @contextmanager
    def opened_with(self) -> Iterator[Any]:
        yield self.generate


def ways(plugin: APlugin) -> dict[str, str]:
    """The name of each way's images and why there are none."""
    tried = try_paths(plugin, Draws("1", "mark.every-way"))  # type: ignore[arg-type]
    named = {name: "" for way in tried for name, _ in way.named()}
    return named | {way.name: way.refused for way in tried if way.refused}


def test_every_way_of_the_sdk_is_tried_and_named() -> None:
    plugin = APlugin("init_image", "strength", "num_images")
    refusals = ways(plugin)
    assert not any(refusals.values())
    assert len(refusals) == len(SIZES) + 1 + BATCH + 2 + 1 + 2 + 2
    assert {"image 2 of a batch", "made from an image", "from a thread", "after a refused request"} <= set(
        refusals
    )
    (batch, request), (start, _), (own, larger), (thread, _) = plugin.ways
    assert batch.start is None and request["num_images"] == BATCH
    assert start.start is not None and start.start.std() > 10
    assert own.start is not None and larger["width"] == REFINED_SIDE > own.start.shape[1]
    assert thread.thread


def test_the_usual_size_is_asked_for_where_the_deadline_allows_it() -> None:
    plugin = APlugin("seed")
    name = "{} x {}".format(*USUAL)
    assert ways(plugin)[name] == ""
    plugin.opening.call_deadline = 0.5
    (late,) = [way for way in try_paths(plugin, Draws("1", "mark.every-way")) if way.skipped]  # type: ignore[arg-type]
    assert late.name == name and not late.made and not late.refused and "--deadline" in late.skipped


def test_a_plugin_of_words_alone_is_asked_for_no_more() -> None:
    plugin = APlugin("seed")
    refusals = ways(plugin)
    assert refusals["a batch"] == "generate_image has no num_images"
    assert refusals["made from an image"] == "generate_image has no init_image"
    assert [way.thread for way, _ in plugin.ways] == [True]


def test_a_refusal_is_told_and_the_other_ways_go_on() -> None:
    refusals = ways(APlugin(keywords=True, refuses="pictures"))
    assert refusals["made from an image"] == refusals["refined from its own image"] == "only words"
    assert refusals["image 3 of a batch"] == ""


def test_a_plugin_that_refuses_everything_has_made_nothing() -> None:
    refusals = ways(APlugin(refuses="everything"))
    assert all(refusals.values())
