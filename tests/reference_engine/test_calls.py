"""The parameters of `generate_image`, which are stated once, and the requests made from them."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from PIL import Image

from reference_engine.calls import CallOptions, GenerationOptions, make_call
from reference_engine.config import PluginConfig
from reference_engine.plugin import Plugin
from reference_engine.pool import PluginPool

PUBLIC = [
    ("prompt", inspect.Parameter.empty),
    ("negative_prompt", ""),
    ("steps", 28),
    ("cfg_scale", 7.5),
    ("seed", None),
    ("width", None),
    ("height", None),
    ("init_image", None),
    ("strength", 0.75),
    ("num_images", 1),
    ("loras", ()),
    ("progress", None),
    ("timeout", None),
]


@pytest.mark.parametrize("owner", [Plugin, PluginPool])
def test_the_signature_lists_every_parameter_with_its_default(owner: Any) -> None:
    myself, *parameters = inspect.signature(owner.generate_image).parameters.values()
    assert myself.name == "self"
    assert [(parameter.name, parameter.default) for parameter in parameters] == PUBLIC
    assert [parameter.kind.name for parameter in parameters[:4]] == ["POSITIONAL_OR_KEYWORD"] * 4
    assert {parameter.kind.name for parameter in parameters[4:]} == {"KEYWORD_ONLY"}
    assert inspect.iscoroutinefunction(owner.generate_image)


def test_a_queued_image_has_all_parameters_but_the_timeout() -> None:
    parameters = list(inspect.signature(PluginPool.submit).parameters)[1:]
    assert parameters == [name for name, _ in PUBLIC if name != "timeout"]


def test_an_unknown_parameter_is_a_type_error_with_the_method_in_it() -> None:
    plugin = Plugin(PluginConfig())
    call: Any = plugin.generate_image
    with pytest.raises(
        TypeError, match=r"Plugin\.generate_image\(\) got an unexpected keyword argument 'step'"
    ):
        asyncio.run(call("a lake", step=5))
    with pytest.raises(TypeError, match="too many positional arguments"):
        asyncio.run(call("a lake", "", 5, 7.5, 1))
    plugin.close()


def test_what_is_left_out_is_filled_in() -> None:
    config = PluginConfig(model_type="v2.0")
    request = make_call(config, CallOptions("a lake")).request
    assert (request.width, request.height, request.steps) == (768, 768, 28)
    assert 0 <= request.seed < 2**32
    photograph = Image.new("RGB", (131, 70))
    request = make_call(config, GenerationOptions("a lake", init_image=photograph, height=80, seed=3)).request
    assert (request.width, request.height, request.seed) == (128, 80, 3)
