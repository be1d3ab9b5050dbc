"""Acceleration is what was asked for, or an error that says what the machine lacks."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch

from reference_engine import SDK, ConfigError, SDKError, accel
from reference_engine.accel import CapabilityMissing, capabilities
from reference_engine.accel.networks import _once
from reference_engine.accel.streams import lane

GPU = torch.cuda.is_available()
capabilities_module = sys.modules["reference_engine.accel.capabilities"]
NO_GPU = pytest.mark.skipif(GPU, reason="says what a machine without a GPU answers")
NEEDS_GPU = pytest.mark.skipif(not GPU, reason="there is no GPU that torch can use")


def test_the_list_names_every_capability_and_why_it_is_missing() -> None:
    found = capabilities()
    assert [one.name for one in found] == ["cuda", "streams", "compile", "tensorrt"]
    assert all(one.detail for one in found)
    assert all(one.remedy for one in found if not one.available)


@NO_GPU
@pytest.mark.parametrize("config", [{"acceleration": "tensorrt"}, {"streams": 2}])
def test_what_the_machine_lacks_is_told_when_the_plugin_is_created(config: dict[str, Any]) -> None:
    """C2, C3"""
    with pytest.raises(CapabilityMissing, match=r"cannot do .*: needs? CUDA") as caught:
        SDK.create_plugin({"device": "cpu", **config})
    assert caught.value.code == "ERR_CAPABILITY" and isinstance(caught.value, SDKError)
    assert caught.value.remedies


def test_no_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CapabilityMissing, match=r"needs a C\+\+ compiler"):
        accel.require("compile")


def test_a_gpu_without_torch_tensorrt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """C3"""
    card = type("Card", (), {"name": "a card", "total_memory": 8 * 2**30})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    monkeypatch.setattr(capabilities_module, "find_spec", lambda name: None)
    with pytest.raises(CapabilityMissing, match="torch-tensorrt is not installed"):
        accel.require("tensorrt", device="cuda")
    accel.require("none", 2, "cuda")
    with pytest.raises(CapabilityMissing, match="device is cpu"):
        accel.require("none", 2, "cpu")


def test_nothing_asked_for_is_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the machine looked at."""
    looked: list[str] = []
    monkeypatch.setattr(capabilities_module, "capabilities", lambda: looked.append("") or ())
    for device in ("cpu", "cuda"):
        accel.require("none", 1, device)
    assert looked == []


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"acceleration": "tensort"}, 'Did you mean "tensorrt"'),
        ({"streams": 0}, "1 to 16"),
        ({"streams": True}, "1 to 16"),
        ({"tiling": "off"}, "auto, always, never"),
    ],
)
def test_wrong_words_for_it_are_mistakes_of_the_configuration(config: dict[str, Any], told: str) -> None:
    """B1"""
    with pytest.raises(ConfigError, match=told):
        SDK.create_plugin(config)


def test_a_faster_form_is_made_once_and_not_copied_with_its_unet() -> None:
    import copy

    unet, made = torch.nn.Linear(2, 2), []

    def make() -> object:
        made.append(1)
        return object()

    threads = [threading.Thread(target=lambda: _once(unet, "compile", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    _once(copy.deepcopy(unet), "compile", make)
    assert len(made) == 2


class FakeStream:
    def __init__(self) -> None:
        self.waited = self.synchronized = 0

    def wait_stream(self, other: Any) -> None:
        self.waited += 1

    def synchronize(self) -> None:
        self.synchronized += 1


def test_each_task_has_a_stream_and_as_many_run_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """C2"""
    from contextlib import nullcontext

    from reference_engine.accel import streams

    made: list[FakeStream] = []

    def stream() -> FakeStream:
        made.append(FakeStream())
        return made[-1]

    used: list[Any] = []
    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda one: (used.append(one), nullcontext())[1])
    streams._lanes.cache_clear()
    try:
        inside, most, both = [], [], threading.Barrier(2, timeout=10)

        def task(meet: bool) -> None:
            with lane("cuda", 2):
                inside.append(1)
                most.append(len(inside))
                if meet:
                    both.wait()
                inside.pop()

        threads = [threading.Thread(target=task, args=(True,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        task(False)
    finally:
        streams._lanes.cache_clear()
    assert len(made) == 2 and len(used) == 3 and max(most) == 2
    assert sum(one.synchronized for one in made) == sum(one.waited for one in made) == 3


@pytest.mark.parametrize(("device", "count"), [("cpu", 4), ("cuda", 1)])
def test_on_the_cpu_and_for_one_stream_a_lane_is_nothing(
    monkeypatch: pytest.MonkeyPatch, device: str, count: int
) -> None:
    made: list[int] = []
    monkeypatch.setattr("reference_engine.accel.streams._lanes", made.append)
    with lane(device, count):
        made.append(0)
    assert made == [0]


# Where a GPU is


def generated(config: dict[str, Any], **keywords: Any) -> Any:
    plugin = SDK.create_plugin({"device": "cuda", **config})
    made = asyncio.run(plugin.generate_image("a cat", steps=5, width=256, height=256, seed=1, **keywords))
    return np.asarray(made.image).astype(int)


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("config", [{"acceleration": "compile"}, {"streams": 2}, {"medvram": True}])
def test_an_accelerated_image_is_the_plain_one(config: dict[str, Any]) -> None:
    """C2, C3, C6"""
    accel_missing = [
        one for one in capabilities() if one.name == config.get("acceleration") and not one.available
    ]
    if accel_missing:
        pytest.skip(accel_missing[0].detail)
    assert np.abs(generated(config) - generated({})).mean() < 3


@pytest.mark.gpu
@NEEDS_GPU
def test_tensorrt_gives_the_plain_image() -> None:
    """C3"""
    if not next(one for one in capabilities() if one.name == "tensorrt").available:
        pytest.skip("torch-tensorrt is not installed")
    assert np.abs(generated({"acceleration": "tensorrt"}) - generated({})).mean() < 5


@pytest.mark.gpu
@NEEDS_GPU
def test_medvram_leaves_nothing_on_the_gpu() -> None:
    """C6"""
    before = torch.cuda.memory_allocated()
    generated({"medvram": True})
    assert torch.cuda.memory_allocated() - before < 32 * 2**20
