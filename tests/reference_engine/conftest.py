"""One cache of tiny models for the whole session, and plugins to make images with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reference_engine import SDK, ImageResult
from reference_engine.plugin import Plugin

SMALL = {"steps": 5, "width": 64, "height": 64, "seed": 1}


@pytest.fixture(scope="session", autouse=True)
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = str(tmp_path_factory.mktemp("cache"))
    before = os.environ.get("SD_CERTIFY_CACHE")
    os.environ["SD_CERTIFY_CACHE"] = folder
    yield folder
    if before is None:
        del os.environ["SD_CERTIFY_CACHE"]
    else:
        os.environ["SD_CERTIFY_CACHE"] = before


@pytest.fixture(scope="session")
def plugin(model_cache: str) -> Plugin:
    return SDK.create_plugin({"device": "cpu"})


Make = Callable[..., ImageResult]


@pytest.fixture(scope="session")
def make(plugin: Plugin) -> Make:
    """`make(prompt, **parameters)`: one 64 x 64 image at 5 steps, with seed 1; `on=` another plugin."""

    def generate(prompt: str = "a cat on a mat", on: Plugin = plugin, **parameters: Any) -> ImageResult:
        return asyncio.run(on.generate_image(prompt, **{**SMALL, **parameters}))

    return generate
