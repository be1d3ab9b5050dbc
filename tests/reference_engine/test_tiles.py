"""Tiles that nobody sees, proved on random fields whose perfect denoiser is known."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_engine import SDK
from reference_engine.config import SamplerConfig
from reference_engine.marking import PAYLOAD_BITS, read
from reference_engine.models.tiny import tiny_model
from reference_engine.preprocess import Request
from reference_engine.preprocess.request import RenderPlan
from reference_engine.render import autoencoder
from reference_engine.render.engine import RenderEngine
from reference_engine.render.plan import grid
from reference_engine.render.tiles import DECODER_OVERLAP, Grid, blended, spans

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
}


def test_2048_pixels_are_four_tiles_of_1152() -> None:
    """C1"""
    grid = Grid.over(256, 256, 144)
    assert (grid.count, grid.tile, grid.rows) == (4, (144, 144), ((0, 144), (112, 256)))


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 300), st.sampled_from([64, 96, 144]), st.sampled_from([16, 32]))
def test_tiles_cover_the_side_overlap_and_are_equal(side: int, tile: int, overlap: int) -> None:
    found = spans(side, tile, overlap)
    lengths = {stop - start for start, stop in found}
    assert found[0][0] == 0 and found[-1][1] == side
    assert len(lengths) == 1 and max(lengths) <= max(tile, 8)
    assert all(left[1] - right[0] >= overlap - 1 for left, right in pairwise(found))


@pytest.mark.parametrize("scale", [1, 8])
def test_what_does_not_depend_on_its_surroundings_is_blended_to_itself(scale: int) -> None:
    field = torch.randn(2, 3, 80, 56, generator=torch.Generator().manual_seed(1))
    grid = Grid.over(80, 56, 40, 16)
    grown = field.repeat_interleave(scale, -1).repeat_interleave(scale, -2)

    def evaluate(window: Any) -> Any:
        rows, columns = (slice(side.start * scale, side.stop * scale) for side in window)
        return grown[..., rows, columns]

    assert grid.count > 4
    assert float((blended(evaluate, grid, scale) - grown).abs().max()) < 1e-5


class PerfectDenoiser(torch.nn.Module):
    """A UNet for Gaussian random fields of correlation length `length` latents: of any crop of a noisy field
    it tells the noise's exact expectation, given that crop alone.
    """

    dtype = torch.float32

    def __init__(self, length: float) -> None:
        super().__init__()
        self.length = length
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        kept = torch.cumprod(1 - betas, 0).numpy()
        self.log_ratio = np.log(np.sqrt((1 - kept) / kept))
        self.modes: dict[int, Any] = {}

    def _modes(self, side: int) -> Any:
        if side not in self.modes:
            place = torch.arange(side, dtype=torch.float64)
            covariance = torch.exp(-((place[:, None] - place) ** 2) / (2 * self.length**2))
            values, vectors = torch.linalg.eigh(covariance)
            self.modes[side] = values.clamp(min=0).float(), vectors.float()
        return self.modes[side]

    def forward(self, seen: Any, moment: Any, encoder_hidden_states: Any, return_dict: bool) -> Any:
        ratio = float(np.exp(np.interp(float(moment), np.arange(1000), self.log_ratio)))
        alpha = (1 + ratio**2) ** -0.5
        sigma = ratio * alpha
        (down, left), (across, right) = self._modes(seen.shape[-2]), self._modes(seen.shape[-1])
        power = down[:, None] * across
        spectrum = left.T @ seen @ right * (alpha * power / (alpha**2 * power + sigma**2))
        clean = left @ spectrum @ right.T
        return ((seen - alpha * clean) / sigma,)


def sampled(side: int, tile: int, length: float, algorithm: str = "Heun") -> Any:
    model: Any = SimpleNamespace(unet=PerfectDenoiser(length), scheduler_config=SCHEDULE)
    generator = torch.Generator().manual_seed(5)
    request = Request(
        "a field",
        steps=28,
        cfg_scale=1.0,
        width=side * 8,
        height=side * 8,
        embeddings=torch.zeros(1, 1, 1),
        latents=torch.randn(1, 4, side, side, generator=generator),
        generators=(generator,),
        plan=RenderPlan(1, tile * 8),
    )
    engine = RenderEngine(model, SamplerConfig(algorithm))
    with torch.inference_mode():
        return engine._denoise(request, model.unet, lambda: False)[0].double()


@pytest.mark.parametrize(("side", "tile"), [(256, 144), (128, 80)], ids=["2048 pixels", "1024 pixels"])
def test_tiles_leave_no_seam_and_change_nothing(side: int, tile: int) -> None:
    """C1: seam jump at most 1.05, error at most 0.03 of the standard deviation at l = 4."""
    whole, tiled = sampled(side, side, 4.0), sampled(side, tile, 4.0)
    assert 0.8 < float(whole.std()) < 1.2
    assert float((tiled - whole).pow(2).mean().sqrt() / whole.std()) <= 0.03
    for seam in (side - tile, side // 2, tile):
        step, usual = ((field[..., seam] - field[..., seam - 1]).pow(2).mean() for field in (tiled, whole))
        assert float((step / usual).sqrt()) <= 1.05


def test_the_seam_test_sees_a_seam() -> None:
    """Tiles that do not overlap, each denoised for itself."""
    whole = sampled(128, 128, 4.0)
    half = sampled(64, 64, 4.0)
    tiled = torch.cat([half, half], -1)
    step, usual = (
        (tiled[..., 64] - tiled[..., 63]).pow(2).mean(),
        (whole[..., 1:] - whole[..., :-1]).pow(2).mean(),
    )
    assert float((step / usual).sqrt()) > 2


def test_a_tiled_decoder_differs_little_from_a_whole_one() -> None:
    from reference_engine.models.loader import ModelLoader

    vae = ModelLoader().load_local(tiny_model("v1.5")).vae
    latents = torch.randn(1, 4, 40, 48, generator=torch.Generator().manual_seed(2)) * 0.5
    with torch.inference_mode():
        whole, tiled = autoencoder.decode(vae, latents), autoencoder.decode(vae, latents, 256)
    assert Grid.over(40, 48, 32, DECODER_OVERLAP).count == 4
    assert whole.shape == tiled.shape
    # Its normalisation looks at the whole picture, so that a tile is not quite the same.
    assert float((whole - tiled).abs().mean() / whole.std()) < 0.1


def test_an_encoder_s_tiles_come_back_to_the_same_latents() -> None:
    from reference_engine.models.loader import ModelLoader

    vae = ModelLoader().load_local(tiny_model("v1.5")).vae
    pixels = torch.rand(1, 3, 320, 384, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.inference_mode():
        whole, tiled = autoencoder.encode(vae, pixels), autoencoder.encode(vae, pixels, 256)
    assert whole.shape == tiled.shape == (1, 4, 40, 48)
    assert float((whole - tiled).abs().mean() / whole.std()) < 0.2


def read_back(image: Any) -> int:
    """How many of the 64 bits of the mark are read as they were written."""
    return sum(bit == wanted for bit, wanted in zip(read(image, 64), PAYLOAD_BITS, strict=True))


def test_a_tiled_image_is_marked_and_says_so(make: Any) -> None:
    """C1, C5, E4"""
    on = SDK.create_plugin({"device": "cpu", "memory_limit": "360MB"})
    result = make(on=on, width=1088, height=1024, cfg_scale=1.0)
    assert result.image.size == (1088, 1024)
    assert any("tiles of" in warning for warning in result.warnings)
    assert read_back(result.image) > 60


def test_the_plan_of_a_request_is_what_renders_it(make: Any) -> None:
    on = SDK.create_plugin({"device": "cpu", "tiling": "always"})
    plain = make(width=128, height=128)
    assert make(on=on, width=128, height=128).image.tobytes() == plain.image.tobytes()
    assert grid(RenderPlan(tile=1152), Request("", width=128, height=128)).count == 1
