from __future__ import annotations

import io
import json
import pickle
import struct
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reference_engine import SDK, InvalidParameter, InvalidPrompt
from reference_engine.marking import (
    PAYLOAD_BITS,
    XMP_KEYWORD,
    bits_from_hex,
    bits_to_hex,
    is_balanced,
    mark,
    read,
)


def read_back(image: Image.Image, bits: Any = PAYLOAD_BITS) -> int:
    """How many bits are found again."""
    return sum(one == other for one, other in zip(read(image, len(bits)), bits, strict=True))


@pytest.mark.parametrize("model_type", ["v1.5", "v2.0"])
def test_every_image_of_64_pixels_carries_the_mark(make: Any, model_type: str) -> None:
    """E4"""
    on = SDK.create_plugin({"device": "cpu", "model_type": model_type})
    found = [read_back(make(f"a cat {seed}", seed=seed, on=on).image) for seed in range(20)]
    assert min(found) >= 60


def test_odd_sizes_and_other_payloads_carry_the_mark(make: Any) -> None:
    """E4"""
    word = "0123456789abcdef" * 2
    on = SDK.create_plugin({"device": "cpu", "watermark_payload": word})
    result = make(on=on, width=200, height=128)
    assert result.marks.payload == word
    assert read_back(result.image, bits_from_hex(word)) >= 125


def test_another_word_is_not_found_in_a_marked_image(make: Any) -> None:
    """E4: the control that shows the reading means something."""
    other_word = PAYLOAD_BITS[32:] + PAYLOAD_BITS[:32]
    assert read_back(make().image, other_word) < 51  # 51 of 64: one chance in a million


def test_the_mark_is_hard_to_see() -> None:
    coarse = np.random.default_rng(1).integers(90, 170, (8, 8, 3)).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC)
    error = np.asarray(mark(smooth)).astype(float) - np.asarray(smooth).astype(float)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 42


def test_an_image_too_small_for_the_mark_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="holds 7 bits"):
        mark(Image.new("RGB", (63, 63)))


def chunks(png: bytes) -> list[tuple[str, bytes]]:
    place, found = 8, []
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        found.append((png[place + 4 : place + 8].decode(), png[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def test_the_png_says_in_text_how_it_was_made(make: Any) -> None:
    """E4"""
    result = make("a cat, 猫 🐈", negative_prompt="blur\n", cfg_scale=6.5)
    texts = [data for kind, data in chunks(result.png()) if kind == "iTXt"]
    assert all(data[data.index(b"\0") + 1] == 0 for data in texts)  # uncompressed
    reread = Image.open(io.BytesIO(result.png()))
    assert reread.info["prompt"] == "a cat, 猫 🐈"
    assert reread.info["negative_prompt"] == "blur\n"
    assert json.loads(reread.info["parameters-json"]) == {
        "seed": 1,
        "steps": 5,
        "cfg_scale": 6.5,
        "sampler": "DDIM",
        "model_type": "v1.5",
        "width": 64,
        "height": 64,
        "sdk": SDK.version,
    }
    assert reread.tobytes() == result.image.tobytes()


def test_the_xmp_packet_declares_trained_algorithmic_media(make: Any) -> None:
    """E3, E4"""
    packet = Image.open(io.BytesIO(make().png())).info[XMP_KEYWORD]
    root = ElementTree.fromstring(packet)
    (found,) = root.iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert found.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_postprocessing_comes_before_the_mark(make: Any) -> None:
    """E4"""
    on = SDK.create_plugin({"device": "cpu"})
    on.postprocess.append(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    result = make(on=on)
    assert result.image.tobytes() != make().image.tobytes()
    assert read_back(result.image) >= 60


def test_a_step_of_postprocessing_that_returns_no_image_is_told(make: Any) -> None:
    on = SDK.create_plugin({"device": "cpu"})
    on.postprocess.append(lambda image: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(InvalidParameter, match="must be a PIL image, not NoneType"):
        make(on=on)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_an_image_made_elsewhere_is_delivered_marked(mode: str) -> None:
    """E4"""
    noise = np.random.default_rng(2).integers(70, 180, (96, 96, 3)).astype(np.uint8)
    image = Image.fromarray(noise).resize((192, 96), Image.Resampling.BILINEAR).convert(mode)
    result = SDK.deliver(image, prompt="a lake", seed=5, parameters={"steps": 12})
    assert read_back(result.image) >= 60
    assert (result.seed, result.width, result.height, result.marks.method) == (5, 192, 96, "lumaQim")
    assert json.loads(result.metadata["parameters-json"])["steps"] == 12
    with pytest.raises(InvalidPrompt):
        SDK.deliver(image, prompt="a\0b")


def test_a_result_can_be_pickled_whole(make: Any) -> None:
    result = make()
    assert pickle.loads(pickle.dumps(result)).png() == result.png()


def test_saving_under_a_name_that_would_lose_the_marks_is_refused(make: Any, tmp_path: Any) -> None:
    result = make()
    assert result.save(tmp_path / "image.png").read_bytes() == result.png()
    with pytest.raises(ValueError, match=r"must end in \.png"):
        result.save(tmp_path / "image.jpg")


def test_the_own_payload_is_64_balanced_bits() -> None:
    assert len(PAYLOAD_BITS) == 64
    assert is_balanced(PAYLOAD_BITS)


@given(st.integers(8, 34).flatmap(lambda digits: st.permutations([0, 1] * (2 * digits))))
def test_a_balanced_word_survives_hex_and_back(bits: list[int]) -> None:
    assert bits_from_hex(bits_to_hex(bits)) == tuple(bits)


@pytest.mark.parametrize(
    "text", ["", "0f0f", "0x0f0f0f0f", "zz0f0f0f0f", "0f" * 18, "ff0f0f0f0f", "0f0f_0f0f0", " 0f0f0f0f"]
)
def test_a_payload_that_would_not_serve_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|has"):
        bits_from_hex(text)
