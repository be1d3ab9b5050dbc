"""The engine without its networks: the same surface, marks and errors, and equal images again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reference_engine import SDK, InvalidParameter
from reference_engine.marking import METHOD
from reference_engine.models.loader import LoadedModel
from reference_engine.render.engine import RenderEngine
from reference_engine.render.instant import work_instantly

Make = Callable[..., Any]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    for owner, name in ((RenderEngine, "_denoise"), (RenderEngine, "_decode"), (RenderEngine, "encode")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(LoadedModel, "encode", LoadedModel.encode)
    work_instantly()
    plugin = SDK.create_plugin({"model_type": "v1.5"})

    def run(prompt: str = "a cat", **parameters: Any) -> Any:
        asked = {"width": 64, "height": 72, "steps": 5, "seed": 1, **parameters}
        return asyncio.run(plugin.generate_image(prompt, **asked))

    yield run
    plugin.close()


def test_results_are_as_ever(make: Make) -> None:
    result = make()
    assert result.image.size == (64, 72)
    assert (result.marks.method, result.seed, result.prompt) == (METHOD, 1, "a cat")
    assert "parameters-json" in result.metadata or result.metadata


def test_equal_requests_give_equal_files_and_others_do_not(make: Make) -> None:
    first = make().png()
    assert make().png() == first
    assert make(seed=2).png() != first
    assert make("a dog").png() != first


def test_errors_and_progress_are_as_ever(make: Make) -> None:
    with pytest.raises(InvalidParameter):
        make(steps=4)
    told: list[tuple[int, int]] = []
    make(progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 5) for number in range(1, 6)]


def test_an_initial_image_and_several_images_work(make: Make) -> None:
    start = make().image
    assert make(init_image=start, strength=0.5).image.size == (64, 72)
    assert len(make(num_images=3).images) == 3


def test_no_network_is_asked(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    make()
    asked: list[str] = []
    call = torch.nn.Module.__call__
    monkeypatch.setattr(
        torch.nn.Module,
        "__call__",
        lambda self, *rest, **more: (asked.append(type(self).__name__), call(self, *rest, **more))[1],
    )
    make("a prompt that is new")
    assert asked == []
