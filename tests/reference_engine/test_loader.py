from __future__ import annotations

import json
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from reference_engine import SDK, ModelNotLoaded
from reference_engine.config import SamplerConfig
from reference_engine.models import loader as loader_module
from reference_engine.models.folder import folder_digest, read_header
from reference_engine.models.loader import ModelLoader
from reference_engine.models.tiny import tiny_model
from reference_engine.preprocess import InitialLatents, Request, TextEncoding
from reference_engine.render.engine import RenderEngine

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the tiny v1.5 that a test may damage; the large text encoder is linked, not copied."""
    source, copy = tiny_model("v1.5"), tmp_path / "model"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("model.safetensors"))
    (copy / "text_encoder" / "model.safetensors").symlink_to(source / "text_encoder" / "model.safetensors")
    return copy


def test_a_whole_model_with_the_right_hash_makes_the_same_image(model: Path, make: Any) -> None:
    """A2"""
    own = SDK.create_plugin({"device": "cpu", "model": {"path": str(model), "sha256": folder_digest(model)}})
    assert make(on=own).image.tobytes() == make().image.tobytes()


def test_half_precision_makes_nearly_the_same_image(model: Path) -> None:
    """C6: what CUDA computes with; the parts then work one at a time."""

    def render(half: bool) -> Any:
        loaded = ModelLoader().load_local(model, half=half)
        assert str(loaded.unet.dtype) == ("torch.float16" if half else "torch.float32")
        prepared = InitialLatents()(TextEncoding(lambda: loaded)(Request("a", "", 5, 7.5, 1, 64, 64)))
        return np.asarray(RenderEngine(loaded, SamplerConfig(), medvram=half).render(prepared)[0]).astype(int)

    assert 0 < np.abs(render(half=True) - render(half=False)).mean() < 3


def remove_weights(model: Path) -> None:
    (model / UNET).unlink()


def remove_tokenizer(model: Path) -> None:
    shutil.rmtree(model / "tokenizer")


def cut_weights(model: Path) -> None:
    data = (model / UNET).read_bytes()
    (model / UNET).write_bytes(data[: len(data) // 2])


def pickle_under_its_own_name(model: Path) -> None:
    (model / UNET).unlink()
    (model / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))


def pickle_named_safetensors(model: Path) -> None:
    (model / UNET).write_bytes(pickle.dumps({"weight": list(range(1000))}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (shutil.rmtree, "no model folder"),
        (remove_weights, "no weights"),
        (remove_tokenizer, "missing: tokenizer/vocab.json"),
        (cut_weights, "altered"),
        (pickle_under_its_own_name, "runs code when it is opened"),
        (pickle_named_safetensors, "not a safetensors file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_damaged_model_is_refused_when_the_plugin_is_created(
    model: Path, damage: Callable[[Path], None], told: str
) -> None:
    """A2, B6"""
    damage(model)
    with pytest.raises(ModelNotLoaded, match=told) as caught:
        SDK.create_plugin({"model": {"path": str(model)}})
    assert caught.value.code == "ERR_MODEL_NOT_LOADED"
    assert caught.value.remedies


def test_one_changed_byte_is_a_hash_mismatch(model: Path) -> None:
    """A2"""
    sha256 = folder_digest(model)
    data = bytearray((model / UNET).read_bytes())
    data[-1] ^= 1
    (model / UNET).write_bytes(data)
    with pytest.raises(ModelNotLoaded, match=f"not {sha256}"):
        SDK.create_plugin({"model": {"path": str(model), "sha256": sha256}})


def test_weights_that_lack_a_tensor_are_refused_and_nothing_stays(model: Path) -> None:
    """A2: libraries fill what is missing with random numbers."""
    tensors = load_file(model / UNET)
    del tensors["conv_in.weight"]
    save_file(tensors, model / UNET, metadata={"format": "pt"})
    loader = ModelLoader()
    with pytest.raises(ModelNotLoaded, match=r"lacks 1 tensors, conv_in\.weight"):
        loader.load_local(model)
    assert all(slot.model is None for slot in loader._slots.values())


def test_parts_of_different_models_are_refused(model: Path) -> None:
    """A2"""
    shutil.rmtree(model / "unet")
    shutil.copytree(tiny_model("v2.0") / "unet", model / "unet")
    with pytest.raises(ModelNotLoaded, match="768 wide, but its UNet reads 1024"):
        ModelLoader().load_local(model)


def test_an_emptied_vocabulary_is_refused(model: Path) -> None:
    (model / "tokenizer" / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1}))
    (model / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ModelNotLoaded, match="tokenizer has only 2 entries"):
        ModelLoader().load_local(model)


def test_many_askers_share_one_load(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    """A1"""
    loads, together = [], threading.Barrier(8)
    real = loader_module._load

    def counted(folder: Path, device: str, half: bool) -> Any:
        loads.append(folder)
        return real(folder, device, half)

    monkeypatch.setattr(loader_module, "_load", counted)
    loader, got = ModelLoader(), []

    def ask() -> None:
        together.wait(20)
        got.append(loader.load_local(model))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert len(loads) == 1
    assert len(got) == 8
    assert len({id(model.unet) for model in got}) == 1


@given(st.binary(max_size=200))
def test_no_bytes_pass_for_weights_or_break_the_reader(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.write_bytes(data)
    try:
        entries = read_header(file)
    except ModelNotLoaded as error:
        assert "any.safetensors" in error.message
    else:
        assert entries == {}
