"""TrustMark by a package in the place of its maker's, with the same names."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certify.cli.main import main
from certify.instruments.marks.pixels.payloads import PayloadError
from certify.instruments.marks.pixels.trustmark import BITS, judge_trustmark, trustmark_bits
from tests.instruments.marks.photographs import soft

WORD = "b3ec907bb19e5a3"
# As much of trustmark 0.9.2 as a reader uses; its network reads the first pixels of a picture.
STAND_IN = """
import pathlib
from hashlib import md5
import numpy as np

MODEL_CHECKSUMS = {checksums}


class Ecc:
    def encode_binary(self, texts):
        packets = [(text + "0" * 61)[:61] + "01" * 19 + "1" for text in texts]
        return np.array([[int(bit) for bit in packet] for packet in packets], float)


class TrustMark:
    def __init__(
        self, use_ECC=True, verbose=True, secret_len=100, device="", model_type="Q", loadRemover=True
    ):
        print("telling its progress")
        assert not use_ECC and not loadRemover
        self.ecc = Ecc()
        models = pathlib.Path(__file__).parent / "models"
        files = [str(models / f"trustmark_{{model_type}}.yaml"), str(models / f"decoder_{{model_type}}.ckpt")]
        self.decoder = self.load_model(*files, device, secret_len, part="decoder")
        self.encoder = self.load_model(*files, device, secret_len, part="encoder")

    def check_and_download(self, filename):
        raise OSError("it would ask its maker")

    def load_model(self, config_path, weight_path, device, secret_len, part="all"):
        self.check_and_download(weight_path)
        return open(weight_path, "rb").read()

    def decode(self, image, MODE="text"):
        assert MODE == "binary" and self.decoder == b"weights" and self.encoder is None
        return "".join(str(int(value > 127)) for value in np.asarray(image)[0, :100, 0]), True, -1
"""


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {"trustmark_Q.yaml": b"model", "decoder_Q.ckpt": b"weights"}
    folder, package = tmp_path / "weights", tmp_path / "site" / "trustmark"
    folder.mkdir()
    package.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    checksums = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    (package / "trustmark.py").write_text(STAND_IN.format(checksums=checksums))
    (package / "__init__.py").write_text("from .trustmark import TrustMark\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    return folder


def packet(word: str) -> list[int]:
    bits = (trustmark_bits(word) + "0" * 61)[:61] + "01" * 19 + "1"
    return [int(bit) for bit in bits]


def picture(folder: Path, bits: list[int], mirrored: bool = False) -> str:
    pixels = soft(1, 64, BITS)
    pixels[0, :, 0] = np.where(np.array(bits, bool), 200, 50)
    Image.fromarray(pixels[:, ::-1] if mirrored else pixels).save(folder / "picture.png")
    return str(folder / "picture.png")


def read(capsys: pytest.CaptureFixture[str], image: str, weights: Path, word: str = WORD) -> dict[str, Any]:
    assert main(["marks", image, "--trustmark", str(weights), "--payload", word, "--json"]) == 0
    layer: dict[str, Any] = json.loads(capsys.readouterr().out)[0]["layers"]["invisible"]
    return layer


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_named_word_is_found_by_the_user_s_weights(
    mirrored: bool, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bits = packet(WORD)
    for wrong in (3, 50, 90):
        bits[wrong] ^= 1
    layer = read(capsys, picture(tmp_path, bits, mirrored), weights)
    assert (layer["state"], layer["facts"]["bits"]) == ("present", "97 of 100")
    assert layer["facts"]["found"] == ("mirrored" if mirrored else "")


def test_another_word_is_not_the_named_one(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = read(capsys, picture(tmp_path, packet("5a5f0ba3c9d1e64")), weights)
    assert layer["state"] == "absent"


def test_weights_that_are_not_the_maker_s_are_not_opened(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (weights / "decoder_Q.ckpt").write_bytes(b"others")
    layer = read(capsys, picture(tmp_path, packet(WORD)), weights)
    assert layer["state"] == "not-checkable-here"
    assert "decoder_Q.ckpt is missing, or its MD5 sum is not" in layer["reason"]
    assert "no decoder_Q.ckpt" in read(capsys, str(tmp_path / "picture.png"), tmp_path)["reason"]


def test_without_the_package_it_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trustmark.py").write_text("raise ImportError('No module named trustmark')")
    monkeypatch.syspath_prepend(tmp_path)
    layer = read(capsys, picture(tmp_path, packet(WORD)), tmp_path)
    assert layer["state"] == "not-checkable-here"
    assert "pip install trustmark" in layer["reason"]


@pytest.mark.parametrize(
    "words", [["--payload", "xyz"], ["--payload", WORD + "00"], [], ["--method", "dwtDct"]]
)
def test_a_word_is_needed(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["marks", picture(tmp_path, packet(WORD)), "--trustmark", str(tmp_path), *words]) == 2
    assert "--payload" in capsys.readouterr().err


def test_how_many_bits_must_agree() -> None:
    wanted = packet(WORD)
    for wrong, state in ((24, "present"), (26, "absent")):
        bits = [bit ^ (number < wrong) for number, bit in enumerate(wanted)]
        other = [number % 2 for number in range(BITS)]
        assert judge_trustmark([bits, other], wanted).state == state
    with pytest.raises(PayloadError):
        judge_trustmark([wanted, wanted], [0] * BITS)
    with pytest.raises(ValueError, match="have 100 bits"):
        judge_trustmark([wanted[:99]], wanted)
