"""A1, A2: one load and one copy for all who ask, freed with the last of them, and no trace of what failed."""

from __future__ import annotations

import gc
import hashlib
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from reference_engine.errors import ModelNotLoaded
from reference_engine.models import hashes
from reference_engine.models import loader as loader_module
from reference_engine.models.folder import folder_digest
from reference_engine.models.loader import ModelLoader
from reference_engine.models.tiny import tiny_model

VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the tiny v1.5 that a test may change; the large text encoder is linked, not copied."""
    source, copy = tiny_model("v1.5"), tmp_path / "model"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("model.safetensors"))
    (copy / "text_encoder" / "model.safetensors").symlink_to(source / "text_encoder" / "model.safetensors")
    return copy


class Parts:
    """Stands for a loaded model, where a test is about who holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Every load, done by `Parts`."""
    done: list[Path] = []

    def load(folder: Path, device: str, half: bool) -> Any:
        done.append(folder)
        return Parts(folder)

    monkeypatch.setattr(loader_module, "_load", load)
    yield done


def test_the_weights_are_freed_with_the_last_who_holds_them(model: Path) -> None:
    """A1"""
    loader = ModelLoader()
    one, two = loader.load_local(model), loader.load_local(model)
    assert one is two
    weights = [weakref.ref(next(part.parameters())) for part in (one.unet, one.vae, one.text_encoder)]
    assert loader.in_use() == (model.resolve(),)
    del one
    assert all(weight() is not None for weight in weights)
    del two
    assert [weight() for weight in weights] == [None] * 3
    assert loader.in_use() == ()


def test_who_asks_after_the_last_has_gone_loads_again(model: Path, loads: list[Path]) -> None:
    loader = ModelLoader()
    for _ in range(2):
        held = loader.load_local(model)
        assert loader.load_local(model) is held
        del held
    assert len(loads) == 2


def test_devices_and_precisions_are_models_of_their_own(model: Path, loads: list[Path]) -> None:
    loader = ModelLoader()
    held = [
        loader.load_local(model, half=half, device=device)
        for half in (False, True)
        for device in ("cpu", "x")
    ]
    assert len({id(one) for one in held}) == len(loads) == 4
    assert loader.in_use() == (model.resolve(),) * 4


def test_a_folder_that_changed_is_a_new_model(model: Path, loads: list[Path]) -> None:
    loader = ModelLoader()
    before = loader.load_local(model)
    (model / "vae" / "config.json").write_text((model / "vae" / "config.json").read_text() + " ")
    after = loader.load_local(model)
    assert after is not before
    assert loader.load_local(model) is after


def test_a_folder_that_changes_while_it_is_loaded_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddled(folder: Path, device: str, half: bool) -> Any:
        (folder / "model_index.json").write_text("{}")
        return Parts(folder)

    monkeypatch.setattr(loader_module, "_load", meddled)
    loader = ModelLoader()
    with pytest.raises(ModelNotLoaded, match="changed while it was being loaded"):
        loader.load_local(model)
    assert loader.in_use() == ()


def test_many_askers_hash_and_load_once(
    model: Path, loads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1"""
    sha256 = folder_digest(model)
    monkeypatch.setattr(hashes, "_known", {})
    read: list[str] = []
    real = hashlib.sha256

    def counted(*data: bytes) -> Any:
        read.append("")
        return real(*data)

    files = sum(file.is_file() for file in model.rglob("*"))
    monkeypatch.setattr(hashlib, "sha256", counted)
    monkeypatch.setattr(hashes, "_CLOCK_TICK", 0)
    loader, got, together = ModelLoader(), [], threading.Barrier(8)

    def ask() -> None:
        together.wait(20)
        got.append(loader.load_local(model, sha256))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert len(got) == 8
    assert len({id(one) for one in got}) == len(loads) == 1
    assert len(read) <= files + 8  # each file once, and for each asker the folder's own digest


def test_every_asker_is_told_what_is_wrong_and_a_mended_model_loads(model: Path) -> None:
    good = (model / VAE).read_bytes()
    (model / VAE).write_bytes(good[:-10])
    loader, told = ModelLoader(), []

    def ask() -> None:
        with pytest.raises(ModelNotLoaded, match="altered") as caught:
            loader.load_local(model)
        told.append(caught.value)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert len(told) == 4
    (model / VAE).write_bytes(good)
    assert loader.load_local(model).text_width == 768


def test_force_notices_a_change_that_left_no_trace(model: Path, loads: list[Path]) -> None:
    """A2: as from a disk that rots."""
    sha256 = folder_digest(model)
    hashes.remember(model / VAE, hashes.file_digest(model / VAE))
    trusted = hashes.file_digest(model / VAE)
    data = bytearray((model / VAE).read_bytes())
    data[-1] ^= 1
    (model / VAE).write_bytes(data)
    hashes.remember(model / VAE, trusted)
    loader = ModelLoader()
    loader.load_local(model, sha256)
    with pytest.raises(ModelNotLoaded, match="not the configured one"):
        loader.load_local(model, sha256, force=True)


def test_nothing_half_loaded_stays_even_while_the_error_is_held(model: Path) -> None:
    """A2: the VAE comes last; by then the text encoder and the UNet are in memory."""
    tensors = load_file(model / VAE)
    del tensors["decoder.conv_in.weight"]
    save_file(tensors, model / VAE, metadata={"format": "pt"})
    gc.collect()
    before = live_modules()
    with pytest.raises(ModelNotLoaded, match="vae lacks 1 tensors") as caught:
        ModelLoader().load_local(model)
    gc.collect()
    assert live_modules() == before
    assert caught.value.__cause__ is not None


def live_modules() -> int:
    import torch

    return sum(issubclass(type(thing), torch.nn.Module) for thing in gc.get_objects())


def test_a_wrong_hash_is_found_before_any_file_is_parsed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2"""

    def parsed(*_: object) -> Any:
        raise AssertionError("parsed before its hash was known")

    for name in ("weight_shapes", "read_header"):
        monkeypatch.setattr(f"reference_engine.models.folder.{name}", parsed)
    with pytest.raises(ModelNotLoaded, match="not the configured one"):
        ModelLoader().load_local(model, "0" * 64)
