from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from reference_engine import SDK, ImageResult, InvalidParameter, ModelNotLoaded
from reference_engine.plugin import Plugin

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v"


def pixels(result: ImageResult) -> Any:
    return np.asarray(result.image).astype(int)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lora") / "ink.safetensors"
    draw = np.random.default_rng(1)
    down, up = draw.normal(0, 0.05, (2, 768)), draw.normal(0, 2, (64, 2))
    tensors = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    save_file({name: value.astype(np.float16) for name, value in tensors.items()}, file)
    return file


@pytest.fixture
def own() -> Plugin:
    return SDK.create_plugin({"device": "cpu"})


def test_a_lora_changes_the_image_and_unloading_brings_it_back(own: Plugin, lora: Path, make: Any) -> None:
    before = make(on=own)
    own.load_lora(lora)
    with_lora = make(on=own)
    assert np.abs(pixels(before) - pixels(with_lora)).mean() > 2
    own.unload_loras()
    assert make(on=own).image.tobytes() == before.image.tobytes()


def test_a_lora_never_touches_the_weights_that_others_use(own: Plugin, lora: Path, make: Any) -> None:
    expected = make().image.tobytes()
    weights = {name: tensor.clone() for name, tensor in own._load_locked().unet.state_dict().items()}
    own.load_lora(lora)
    make(on=own)
    assert make().image.tobytes() == expected
    own.unload_loras()
    after = own._load_locked().unet.state_dict()
    assert weights.keys() == after.keys()
    assert all(bool((tensor == after[name]).all()) for name, tensor in weights.items())


def test_a_lora_for_one_image_acts_on_that_image_alone(own: Plugin, lora: Path, make: Any) -> None:
    plain = make(on=own).image.tobytes()
    for_one = make(on=own, loras=[lora]).image.tobytes()
    assert for_one != plain
    assert make(on=own).image.tobytes() == plain
    own.load_lora(lora)
    assert make(on=own).image.tobytes() == for_one


def test_the_scale_of_a_lora_counts(own: Plugin, lora: Path, make: Any) -> None:
    plain, weak, full = (pixels(make(on=own, loras=[(lora, scale)])) for scale in (0.0, 0.3, 1.0))
    assert np.abs(weak - plain).mean() < np.abs(full - plain).mean()
    assert (plain == pixels(make(on=own))).all()
    with pytest.raises(InvalidParameter, match="scale"):
        own.load_lora(lora, scale=float("nan"))


def test_a_lora_made_for_another_model_is_refused_and_changes_nothing(lora: Path, make: Any) -> None:
    v2 = SDK.create_plugin({"device": "cpu", "model_type": "v2.0"})
    before = make(on=v2).image.tobytes()
    with pytest.raises(ModelNotLoaded, match=r"\(2, 768\).*\(64, 1024\)"):
        v2.load_lora(lora)
    assert make(on=v2).image.tobytes() == before


@pytest.mark.parametrize(
    ("rename", "told"),
    [
        ({f"unet.{LAYER}.lora_A.weight": "unet.no.such.layer.lora_A.weight"}, "has no no.such.layer"),
        ({f"unet.{LAYER}.lora_A.weight": "lora_down"}, "does not have the form"),
        ({f"unet.{LAYER}.lora_A.weight": ""}, "has no matching"),
    ],
)
def test_a_lora_with_wrong_names_is_refused(
    own: Plugin, lora: Path, tmp_path: Path, rename: dict[str, str], told: str
) -> None:
    tensors = {rename.get(name, name): value for name, value in load_file(lora).items()}
    tensors.pop("", None)
    save_file(tensors, tmp_path / "wrong.safetensors")
    with pytest.raises(ModelNotLoaded, match=told):
        own.load_lora(tmp_path / "wrong.safetensors")


def test_a_pickle_named_safetensors_is_refused(own: Plugin, tmp_path: Path) -> None:
    file = tmp_path / "evil.safetensors"
    file.write_bytes(pickle.dumps({"a": list(range(100))}))
    with pytest.raises(ModelNotLoaded, match="not a safetensors file"):
        own.load_lora(file)
    with pytest.raises(ModelNotLoaded, match="no LoRA at"):
        own.load_lora(tmp_path / "absent.safetensors")
