"""LoRAs as other tools write them: one addition, many names."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from reference_engine import SDK, ModelNotLoaded
from reference_engine.models.lora import Lora, check_lora, with_loras
from reference_engine.models.lora_names import read_names, text_width
from reference_engine.plugin import Plugin

BLOCK = "mid_block.attentions.0.transformer_blocks.0"
LINEAR = {f"{BLOCK}.attn2.to_v": (64, 768, 2), f"{BLOCK}.attn1.to_out.0": (64, 64, 4)}
"""Modules with outputs, inputs and a rank; the ranks differ, which some readers get wrong."""


def values(name: str, *shape: int) -> Any:
    seed = sum(name.encode())
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def written(style: str, modules: Mapping[str, tuple[int, int, int]] = LINEAR) -> dict[str, Any]:
    tensors = {}
    for module, (out, into, rank) in modules.items():
        flat, processor = module.replace(".", "_"), module.removesuffix(".0").rpartition(".")
        down, up = {
            "diffusers": (f"unet.{module}.lora_A.weight", f"unet.{module}.lora_B.weight"),
            "diffusers layers": (f"unet.{module}.lora.down.weight", f"unet.{module}.lora.up.weight"),
            "diffusers processors": tuple(
                f"unet.{processor[0]}.processor.{processor[2]}_lora.{way}.weight" for way in ("down", "up")
            ),
            "PEFT": tuple(f"base_model.model.{module}.lora_{way}.weight" for way in "AB"),
            "PEFT, named": tuple(f"base_model.model.{module}.lora_{way}.default.weight" for way in "AB"),
            "bare": (f"{module}.lora_A.weight", f"{module}.lora_B.weight"),
            "kohya": (f"lora_unet_{flat}.lora_down.weight", f"lora_unet_{flat}.lora_up.weight"),
        }[style]
        tensors[down], tensors[up] = values(f"{module}-", rank, into), values(f"{module}+", out, rank)
    return tensors


def saved(folder: Path, tensors: dict[str, Any], name: str = "made") -> Path:
    file = folder / f"{name}.safetensors"
    save_file(tensors, file)
    return file


@pytest.fixture(scope="module")
def expected(make: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The image with the LoRA in the first style."""
    file = saved(tmp_path_factory.mktemp("lora"), written("diffusers"))
    image: bytes = make(loras=[file]).image.tobytes()
    assert image != make().image.tobytes()
    return image


@pytest.mark.parametrize(
    "style", ["diffusers layers", "diffusers processors", "PEFT", "PEFT, named", "bare", "kohya"]
)
def test_every_style_of_names_gives_the_same_image(
    style: str, make: Any, expected: bytes, tmp_path: Path
) -> None:
    assert make(loras=[saved(tmp_path, written(style))]).image.tobytes() == expected


def test_an_alpha_of_the_rank_changes_nothing_and_half_of_it_is_half_the_scale(
    make: Any, expected: bytes, tmp_path: Path
) -> None:
    def with_alpha(share: float) -> Path:
        alphas = {
            f"lora_unet_{module.replace('.', '_')}.alpha": np.array(share * rank, np.float32)
            for module, (_, _, rank) in LINEAR.items()
        }
        return saved(tmp_path, written("kohya") | alphas, f"alpha{share}")

    assert make(loras=[with_alpha(1.0)]).image.tobytes() == expected
    halved = make(loras=[with_alpha(0.5)]).image.tobytes()
    assert halved == make(loras=[(with_alpha(1.0), 0.5)]).image.tobytes() != expected


def test_what_a_lora_adds_is_scale_times_alpha_by_rank_times_up_times_down(
    plugin: Plugin, tmp_path: Path
) -> None:
    """Against weights merged by hand, for linear layers and convolutions, and two LoRAs at a time."""
    import torch

    model = plugin._load_locked()
    conv, rank = "down_blocks.1.resnets.0.conv1", 3
    shape = tuple(model.unet.get_submodule(conv).weight.shape)
    one = written("kohya") | {
        f"lora_unet_{conv.replace('.', '_')}.lora_down.weight": values("conv-", rank, *shape[1:]),
        f"lora_unet_{conv.replace('.', '_')}.lora_up.weight": values("conv+", shape[0], rank, 1, 1),
        f"lora_unet_{conv.replace('.', '_')}.alpha": np.array(1.5, np.float32),
    }
    loras = [Lora(saved(tmp_path, one), 0.7), Lora(saved(tmp_path, written("PEFT"), "other"), -0.2)]
    ours = with_loras(model, loras).unet
    merged = copy.deepcopy(model.unet)
    for module, (out, into, width) in LINEAR.items():
        product = values(f"{module}+", out, width) @ values(f"{module}-", width, into)
        merged.get_submodule(module).weight.add_(torch.tensor(0.7 * product - 0.2 * product))
    up, down = values("conv+", shape[0], rank), values("conv-", rank, *shape[1:])
    merged.get_submodule(conv).weight.add_(
        torch.tensor(0.7 * (1.5 / rank) * np.tensordot(up, down, 1), dtype=torch.float32)
    )
    draw = torch.Generator().manual_seed(0)
    latents, text = torch.randn(1, 4, 8, 8, generator=draw), torch.randn(1, 77, 768, generator=draw)
    with torch.inference_mode():
        got, wanted, plain = (
            unet(latents, 500, encoder_hidden_states=text, return_dict=False)[0]
            for unet in (ours, merged, model.unet)
        )
    assert float((got - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())
    assert float((got - plain).abs().max()) > 1e-2 * float(wanted.abs().max())


def test_a_lora_for_the_text_encoder_acts_and_goes_again(make: Any, tmp_path: Path) -> None:
    own = SDK.create_plugin({"device": "cpu"})
    before = make(on=own)
    stem = "text_model_encoder_layers_0_self_attn_q_proj"
    file = saved(
        tmp_path,
        {
            f"lora_te_{stem}.lora_down.weight": values("te-", 2, 768),
            f"lora_te_{stem}.lora_up.weight": values("te+", 768, 2),
            f"lora_te_{stem}.alpha": np.array(2, np.float32),
        },
    )
    own.load_lora(file)
    changed = make(on=own).image.tobytes()
    assert changed != before.image.tobytes()
    own.unload_loras()
    assert make(on=own).image.tobytes() == before.image.tobytes()
    assert make(on=own, loras=[file]).image.tobytes() == changed


def test_unloading_leaves_every_weight_and_every_module_as_it_was(make: Any, tmp_path: Path) -> None:
    own = SDK.create_plugin({"device": "cpu"})
    before = make(on=own).image.tobytes()
    model = own._load_locked()
    parts = (model.unet, model.text_encoder, model.vae)
    weights = [{name: tensor.clone() for name, tensor in part.state_dict().items()} for part in parts]
    kinds = [[type(module) for module in part.modules()] for part in parts]
    own.load_lora(saved(tmp_path, written("kohya")), 0.5)
    own.load_lora(saved(tmp_path, written("PEFT"), "second"), 1.5)
    assert [lora.scale for lora in own.loras] == [0.5, 1.5]
    assert make(on=own).image.tobytes() != before
    own.unload_loras()
    assert own.loras == ()
    assert make(on=own).image.tobytes() == before
    assert kinds == [[type(module) for module in part.modules()] for part in parts]
    for part, kept in zip(parts, weights, strict=True):
        now = part.state_dict()
        assert now.keys() == kept.keys()
        assert all(bool((tensor == now[name]).all()) for name, tensor in kept.items())


@pytest.mark.parametrize(
    ("model_type", "width", "told"),
    [
        ("v1.5", 1024, r"text 1024 wide \(v2\.0\).*768 wide \(v1\.4 and v1\.5\)"),
        ("v1.5", 2048, r"text 2048 wide \(SDXL.*768 wide"),
        ("v2.0", 768, r"text 768 wide \(v1\.4 and v1\.5\).*1024 wide \(v2\.0\)"),
    ],
)
@pytest.mark.parametrize("style", ["kohya", "diffusers"])
def test_a_lora_of_another_base_is_told_by_its_text_width_and_changes_nothing(
    make: Any, tmp_path: Path, model_type: str, width: int, told: str, style: str
) -> None:
    on = SDK.create_plugin({"device": "cpu", "model_type": model_type})
    before = make(on=on).image.tobytes()
    file = saved(tmp_path, written(style, {f"{BLOCK}.attn2.to_k": (64, width, 2)}))
    with pytest.raises(ModelNotLoaded, match=told):
        on.load_lora(file)
    with pytest.raises(ModelNotLoaded, match=told):
        make(on=on, loras=[file])
    assert on.loras == ()
    assert make(on=on).image.tobytes() == before


def test_one_wrong_lora_among_several_is_refused_before_any_acts(make: Any, tmp_path: Path) -> None:
    good = saved(tmp_path, written("kohya"), "good")
    bad = saved(tmp_path, written("kohya", {f"{BLOCK}.attn2.to_k": (64, 1024, 2)}), "bad")
    before = make().image.tobytes()
    with pytest.raises(ModelNotLoaded, match="LoRA bad"):
        make(loras=[good, (bad, 0.5)])
    assert make().image.tobytes() == before


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lora_unet_mid_block.hada_w1_a", "LoHa"),
        ("lora_unet_mid_block.lokr_w1", "LoKr"),
        ("lora_unet_mid_block.dora_scale", "DoRA"),
    ],
)
def test_additions_of_another_kind_are_named(plugin: Plugin, tmp_path: Path, name: str, kind: str) -> None:
    file = saved(tmp_path, {name: values("other", 2, 2)})
    with pytest.raises(ModelNotLoaded, match=kind):
        check_lora(Lora(file), plugin._load_locked())


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({}, "no tensors"),
        ({"unet.a.lora_A.weight": (2, 8), "unet.a.lora_B.weight": (4, 3)}, "rank 2.*rank 3"),
        (
            {"unet.a.lora_A.weight": (2, 7), "unet.a.lora_B.weight": (4, 2)},
            r"shape \(2, 7\), but a is \(4, 8\)",
        ),
        ({"unet.a.lora_A.weight": (2, 8), "unet.a.lora_B.weight": (5, 2)}, r"shape \(5, 2\)"),
        ({"unet.a.lora_A.weight": (8,), "unet.a.lora_B.weight": (4, 2)}, r"shape \(8,\)"),
        (
            {"unet.a.lora_A.weight": (2, 8), "unet.a.lora_B.weight": (4, 2), "unet.a.alpha": (2,)},
            "must be one number",
        ),
        ({"text_encoder.a.lora_A.weight": (2, 8), "text_encoder.a.lora_B.weight": (4, 2)}, "has no a"),
    ],
)
def test_shapes_that_do_not_fit_are_told(shapes: dict[str, tuple[int, ...]], told: str) -> None:
    import re

    adapted, mistakes = read_names(shapes, {"unet": {"a": (4, 8)}, "text_encoder": {}})
    assert adapted == []
    assert re.search(told, " ".join(mistakes))


def test_a_linear_layer_written_as_a_convolution_is_read() -> None:
    shapes = {"lora_unet_a.lora_down.weight": (2, 8, 1, 1), "lora_unet_a.lora_up.weight": (4, 2, 1, 1)}
    (item,), mistakes = read_names(shapes, {"unet": {"a": (4, 8)}})
    assert (item.module, item.rank, mistakes) == ("a", 2, [])


def test_the_text_width_is_read_from_cross_attention_alone() -> None:
    assert text_width({"x.attn2.to_k": (64, 1024), "x.attn1.to_k": (64, 64)}) == 1024
    assert text_width({"x.attn1.to_k": (64, 64)}) is None
