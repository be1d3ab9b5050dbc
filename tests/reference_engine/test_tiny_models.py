from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from reference_engine import ModelNotLoaded
from reference_engine.models.cache import build_once, cache_folder
from reference_engine.models.folder import CHECKSUMS, check_folder, checksums, folder_digest
from reference_engine.models.loader import ModelLoader
from reference_engine.models.tiny import build, tiny_model
from reference_engine.models.tokenizer import load_tokenizer

TYPES = ("v1.4", "v1.5", "v2.0")
ASTRONAUT = [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 49407]


@pytest.fixture(params=TYPES)
def folder(request: pytest.FixtureRequest) -> Path:
    return tiny_model(request.param)


def settings(folder: Path, part: str) -> dict[str, Any]:
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    return dict(json.loads((folder / part / name).read_text("utf-8")))


def test_two_builds_have_the_same_bytes(tmp_path: Path) -> None:
    build("v1.5", tmp_path / "again")
    assert folder_digest(tmp_path / "again") == folder_digest(tiny_model("v1.5"))


def test_the_checksum_file_fits_and_its_own_hash_is_the_digest(folder: Path) -> None:
    text = (folder / CHECKSUMS).read_text("utf-8")
    assert text == checksums(folder)
    check_folder(folder, hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("model_type", "width", "activation", "prediction", "native"),
    [
        ("v1.4", 768, "quick_gelu", "epsilon", 64),
        ("v1.5", 768, "quick_gelu", "epsilon", 64),
        ("v2.0", 1024, "gelu", "v_prediction", 96),
    ],
)
def test_shapes_and_settings_are_the_real_ones(
    model_type: str, width: int, activation: str, prediction: str, native: int
) -> None:
    """A5, D1, D2"""
    folder = tiny_model(model_type)
    text, unet, scheduler = (settings(folder, part) for part in ("text_encoder", "unet", "scheduler"))
    assert (text["hidden_size"], text["vocab_size"], text["hidden_act"]) == (width, 49408, activation)
    assert (unet["cross_attention_dim"], unet["sample_size"]) == (width, native)
    assert unet["use_linear_projection"] is (model_type == "v2.0")
    assert scheduler["prediction_type"] == prediction
    assert (scheduler["beta_start"], scheduler["beta_end"], scheduler["steps_offset"]) == (0.00085, 0.012, 1)


def test_the_tokenizer_counts_as_production_models_do(folder: Path) -> None:
    tokenizer = load_tokenizer(folder / "tokenizer")
    assert len(tokenizer) == 49408
    assert tokenizer("a photo of an astronaut riding a horse")["input_ids"] == ASTRONAUT


def test_the_model_reports_its_true_width_and_encodes_to_it(folder: Path) -> None:
    """A5"""
    model = ModelLoader().load_local(folder)
    ids, _, _ = model.tokenize("a lake")
    assert len(ids) == 77
    assert tuple(model.encode(ids).shape) == (1, 77, model.text_width)
    assert model.text_width == (1024 if "v2.0" in folder.name else 768)


def test_padding_is_the_models_own() -> None:
    assert ModelLoader().load_local(tiny_model("v1.5")).tokenize("a")[0][-1] == 49407
    assert ModelLoader().load_local(tiny_model("v2.0")).tokenize("a")[0][-1] == 0


def _slow_build(target: str, meeting: Any, results: Any) -> None:
    def builder(folder: Path) -> None:
        meeting.wait(20)  # both are inside their build at the same time
        (folder / "who").write_text(str(os.getpid()))

    results.put(build_once(Path(target), builder).joinpath("who").read_text())


def test_two_processes_that_build_at_once_get_one_whole_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    meeting, results = context.Barrier(2), context.Queue()
    target = tmp_path / "models" / "one"
    builders = [context.Process(target=_slow_build, args=(str(target), meeting, results)) for _ in range(2)]
    for builder in builders:
        builder.start()
    assert results.get(timeout=60) == results.get(timeout=60) == (target / "who").read_text()
    for builder in builders:
        builder.join(20)
    assert [entry.name for entry in target.parent.iterdir()] == ["one"]


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        build_once(tmp_path / "models" / "one", fail)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelNotLoaded, match="cannot be built") as caught:
        tiny_model("v1.5")
    assert "SD_CERTIFY_CACHE" in caught.value.remedies[0]


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SD_CERTIFY_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "sd-certify"
