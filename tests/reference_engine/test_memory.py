"""Memory: told before the run, planned for, and given back when it runs out."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reference_engine import SDK, InvalidParameter, OutOfMemory
from reference_engine.models.tiny import tiny_model
from reference_engine.preprocess import Request
from reference_engine.preprocess.request import DECODER_TILE, RenderPlan
from reference_engine.render import calibration, dryrun, memory
from reference_engine.render.calibration import CPU, CUDA, Calibration
from reference_engine.render.memory import Estimate
from reference_engine.render.plan import PlanCheck

MB = 2**20
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read from /proc")


@pytest.mark.parametrize("stage", ["unet", "decode"])
def test_the_law_of_two_dry_runs_is_exact_at_another_size(stage: str) -> None:
    """A8"""
    model, rows = tiny_model("v1.5"), 2 if stage == "unet" else 1
    model_of_stage = dryrun.allocation_model(model, stage, rows, True)
    direct = dryrun._run(model, stage, rows, True, 64)
    assert model_of_stage.peak(64 * 64) == dryrun.AllocationModel(direct, direct, 0, 1).peak(0)


def test_a_dry_run_allocates_nothing_and_reads_no_weights(tmp_path: Path) -> None:
    for part in ("unet", "vae"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_bytes(
            (tiny_model("v1.5") / part / "config.json").read_bytes()
        )
    peak = dryrun.allocation_model(tmp_path, "decode", 1, True).peak(256 * 256)
    assert peak.large > 1000 * MB


def test_a_dry_run_counts_live_storages_and_not_views_or_weights() -> None:
    import torch

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(1000, 1000))

        def forward(self, seen: Any) -> Any:
            made = seen @ self.weight.t()
            return made.view(-1).relu().view(10, 1000) + 1

    traced = dryrun.trace_allocations(Layer, lambda layer: layer(torch.empty(10, 1000)), copies=False)
    peak = dryrun.AllocationModel(traced, traced, 0, 1).peak(0)
    assert peak.total == 4 * 40_000  # the input, and what matmul, relu and sum made


@pytest.mark.parametrize(("inside", "outside"), [(32, 16), (16, 3), (4, 16)])
def test_a_dry_run_counts_what_a_convolution_repacks(inside: int, outside: int) -> None:
    """B4: blocks of 16 channels for input, of 16 or more, and output; the input's copy goes before the
    output's does.
    """
    import torch

    side, each = 64, 4 * 64 * 64
    traced = dryrun.trace_allocations(
        lambda: torch.nn.Conv2d(inside, outside, 3, padding=1),
        lambda layer: layer(torch.empty(1, inside, side, side)),
        copies=True,
    )
    weight = 4 * 9 * inside * outside
    taken, given = (inside if inside >= 16 else 0), 16
    expected = (inside + max(taken + given, given + outside)) * each + weight
    assert dryrun.AllocationModel(traced, traced, 0, 1).peak(0).total == expected


def test_the_heap_of_one_stage_stays_while_another_has_its_large_blocks() -> None:
    """B4"""
    stages = [dryrun.Peak(small=10, large=100, total=105), dryrun.Peak(small=30, large=5, total=35)]
    assert memory._peak(stages, False, Calibration(2.0, 0)) == 100 + 2 * 30
    assert memory._peak(stages, True, Calibration(2.0, 0)) == 105


REAL = """
import asyncio, sys
from reference_engine import SDK
from reference_engine.render import calibration, memory
side = int(sys.argv[1])
plugin = SDK.create_plugin({"device": "cpu"})
go = lambda side: asyncio.run(plugin.generate_image("a", "", 5, width=side, height=side))
go(64)
known = calibration.calibrate(plugin._load_locked(), "cpu")
real = calibration._resident_peak(lambda: go(side))
told = memory.estimate(plugin._folder(), side, side, rows=2)
print(real, told.activations, told.weights, known.measured)
"""


@LINUX
def test_the_estimate_is_what_a_run_takes() -> None:
    """B4: real / estimate of all memory from 0.8 to 1.0, never over 1."""
    told = subprocess.run([sys.executable, "-c", REAL, "512"], capture_output=True, text=True, check=True)
    real, activations, weights, measured = told.stdout.split()
    assert measured == "True"
    assert int(real) <= int(activations)
    assert 0.8 <= (int(real) + int(weights)) / (int(activations) + int(weights)) <= 1.0


def test_memory_grows_with_images_at_once_and_tiles_bound_it() -> None:
    """C1: 2048 x 2048 in four tiles, and a decoder in smaller ones, takes at most half."""
    model = tiny_model("v1.5")
    one, eight = (memory.estimate(model, 512, 512, rows=2 * images).activations for images in (1, 8))
    assert one < eight < 8 * one
    whole = memory.estimate(model, 2048, 2048)
    tiled = memory.estimate(model, 2048, 2048, tile=1152, decoder_tile=DECODER_TILE)
    assert tiled.total <= 0.5 * whole.total
    assert memory.estimate(model, 512, 512, encode=True).activations >= one


def test_a_calibration_is_kept_for_its_model_and_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(tmp_path))
    model = tiny_model("v1.5")
    assert Calibration.of(model, cuda=False) == CPU
    assert Calibration.of(model, cuda=True) == CUDA
    calibration._store(calibration._file(model, False), Calibration(2.0, MB, True))
    assert Calibration.of(model, cuda=False) == Calibration(2.0, MB, True)
    assert Calibration.of(model, cuda=True) == CUDA
    calibration._file(model, False).write_text("not json")
    calibration._stored.cache_clear()
    assert Calibration.of(model, cuda=False) == CPU


# The plan


def planned(limit: int, cost: Any, **facts: Any) -> Request:
    settings = {key: facts.pop(key) for key in ("tiling", "medvram", "unbounded") if key in facts}
    check = PlanCheck(lambda request, plan: Estimate(0, cost(request, plan)), limit, **settings)
    return check(Request("a lake", **facts))


def fake_cost(request: Request, plan: RenderPlan) -> int:
    """Pixels of the UNet's tile times the images at once, plus three times those of the decoder's; halved by
    medvram.
    """
    side = max(request.width, request.height)
    cost = min(plan.tile or side, side) ** 2 * plan.batch + 3 * min(plan.decoder_tile or side, side) ** 2
    return cost // 2 if plan.medvram else cost


def test_the_fastest_plan_that_fits_is_taken() -> None:
    """A8, B4, C1, C6"""
    side = {"width": 1024, "height": 1024}
    assert planned(4 * 1024**2, fake_cost, **side).plan == RenderPlan()
    assert planned(4 * 1024**2 - 1, fake_cost, **side).plan == RenderPlan(1, 0, 512)
    assert planned(1_700_000, fake_cost, **side).plan == RenderPlan(1, 768, 512)
    four = planned(6 * 1024**2, fake_cost, num_images=4, **side)
    assert four.plan == RenderPlan(2)
    assert "made 2 at a time" in four.warnings[0]


def test_an_image_over_1024_is_tiled_and_says_so() -> None:
    """C1, C5"""
    request = planned(10**9, fake_cost, width=2048, height=2048)
    assert request.plan == RenderPlan(1, 1152, 512)
    assert "4 overlapping tiles of 1152 x 1152" in request.warnings[0]
    assert planned(10**9, fake_cost, width=2048, height=2048, unbounded=True).plan == RenderPlan()


def test_an_image_over_1024_without_tiles_names_the_three_ways(make: Any) -> None:
    """C5"""
    with pytest.raises(InvalidParameter, match="tiling, TensorRT or a smaller size"):
        planned(10**9, fake_cost, width=2048, height=2048, tiling="never")
    with pytest.raises(InvalidParameter, match="tiling, TensorRT or a smaller size"):
        make(on=SDK.create_plugin({"device": "cpu", "tiling": "never"}), width=1032, height=1024)


def test_what_fits_in_no_way_is_refused_by_the_leanest_plan_s_need() -> None:
    """B7"""
    with pytest.raises(OutOfMemory, match="needs about 1 MB") as caught:
        planned(1000, lambda request, plan: fake_cost(request, plan) + MB, width=64, height=64)
    assert [
        word for word in ("tiles", "3GB", "medvram") if any(word in one for one in caught.value.remedies)
    ] == [
        "tiles",
        "3GB",
        "medvram",
    ]


def test_medvram_is_chosen_where_nothing_else_fits_and_the_caller_allows_it() -> None:
    """C6"""
    heard: list[RenderPlan] = []

    def may(plan: RenderPlan | None = None) -> None:
        if plan is not None:
            heard.append(plan)

    request = planned(2 * 512**2, fake_cost, width=512, height=512, medvram=may)
    assert request.plan == RenderPlan(medvram=True) and heard == [request.plan]
    assert "medvram" in request.warnings[0]
    with pytest.raises(OutOfMemory):
        planned(2 * 512**2 - 1, fake_cost, width=512, height=512)


# Out of memory


class Refuses:
    """Stands before a function that runs out of memory the first `times` times it is called."""

    def __init__(self, function: Any, times: int) -> None:
        self.function, self.times, self.calls = function, times, 0

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        import torch

        self.calls += 1
        if self.calls <= self.times:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.")
        return self.function(*arguments, **keywords)


def test_one_leaner_try_follows_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    """B6, B7; with noise that the sampler draws, which must start again, too."""
    on = SDK.create_plugin({"device": "cpu", "sampler_config": {"algorithm": "Euler a"}})
    expected = make(on=on)
    failing = Refuses(on._load_locked().vae.decode, 1)
    monkeypatch.setattr(on._load_locked().vae, "decode", failing)
    result = make(on=on)
    assert failing.calls == 2
    assert result.image.tobytes() == expected.image.tobytes()


def test_after_two_failures_the_remedies_are_named_and_the_next_image_is_as_if_nothing_had_been(
    monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    """B6, B7"""
    on = SDK.create_plugin({"device": "cpu"})
    vae = on._load_locked().vae
    with monkeypatch.context() as patch:
        patch.setattr(vae, "decode", Refuses(vae.decode, 99))
        with pytest.raises(OutOfMemory, match=r"Tried to allocate 9.00 GiB") as caught:
            make(on=on)
    assert caught.value.remedies == OutOfMemory.REMEDIES
    assert caught.value.__context__ is None  # which would keep the failed run's tensors alive
    after = make(on=on)
    fresh = subprocess.run(
        [
            sys.executable,
            "-c",
            "import asyncio, hashlib; from reference_engine import SDK\n"
            "on = SDK.create_plugin({'device': 'cpu'})\n"
            "made = asyncio.run(on.generate_image('a cat on a mat', steps=5, width=64, height=64, seed=1))\n"
            "print(hashlib.sha256(made.png()).hexdigest())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    import hashlib

    assert fresh.stdout.strip() == hashlib.sha256(after.png()).hexdigest()


def test_what_a_failed_try_held_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import gc

    import torch

    held: list[int] = []

    class Big:
        def __del__(self) -> None:
            held.append(1)

    def greedy() -> None:
        big = Big()
        raise torch.cuda.OutOfMemoryError(f"CUDA out of memory {type(big)}")

    gc.disable()
    try:
        assert memory.attempted(greedy)[0] is None
    finally:
        gc.enable()
    assert held == [1]


def test_an_error_that_is_none_of_memory_is_passed_on() -> None:
    def wrong() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        memory.attempted(wrong)


@LINUX
def test_a_worker_with_a_cap_refuses_what_is_too_much_and_goes_on() -> None:
    code = (
        "import torch\n"
        "from reference_engine.render import caps, memory\n"
        "torch.ones(8) @ torch.ones(8)\n"
        "assert caps.limit_data(200 * 2**20)\n"
        "print(bool(memory.attempted(lambda: torch.empty(2**30))[1]), torch.ones(2**20).sum().item())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", str(float(2**20))]


def test_a_cap_on_cuda_is_the_limit_less_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from reference_engine.render.caps import limit_cuda

    set_to: list[float] = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: type("Card", (), {"total_memory": 8 * 2**30})
    )
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_to.append)
    assert limit_cuda(4 * 2**30) == pytest.approx(0.45)
    limit_cuda(100 * 2**30)
    assert set_to == pytest.approx([0.45, 1.0])


def test_a_small_limit_is_kept_by_rendering_in_tiles(make: Any) -> None:
    """B4, C1: refused before, rendered now."""
    whole = memory.estimate(tiny_model("v1.5"), 640, 640, rows=1).total
    on = SDK.create_plugin({"device": "cpu", "memory_limit": whole - 1})
    result = asyncio.run(on.generate_image("a", steps=5, width=640, height=640, seed=1, cfg_scale=1.0))
    assert any("tiles" in warning for warning in result.warnings)
