"""What a configuration adds to the marks: a label, a provider, a signature; and what the mark outlives."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from reference_engine import SDK, ConfigError
from reference_engine.marking import PAYLOAD_BITS, XMP_KEYWORD, Provider, mark, marked_png, read
from reference_engine.marking.label import HEIGHT_SHARE, draw_label
from reference_engine.marking.luma import capacity, embed_luma, places

PROVIDER = {"name": "Me & Co", "system": "Ink", "version": "1.0"}


def picture(width: int = 256, height: int = 192, seed: int = 1) -> Image.Image:
    spots = np.random.default_rng(seed).integers(40, 216, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC)


def agreeing(image: Image.Image) -> int:
    return sum(one == other for one, other in zip(read(image, 64), PAYLOAD_BITS, strict=True))


def psnr(one: Image.Image, other: Image.Image) -> float:
    error = (np.asarray(one, float) - np.asarray(other, float)) ** 2
    return float(10 * np.log10(255**2 / error.mean()))


def test_the_mark_outlives_jpeg_webp_and_a_resize() -> None:
    """E4"""
    marked = mark(picture())
    for kind, quality in (("JPEG", 75), ("WEBP", 80)):
        buffer = io.BytesIO()
        marked.save(buffer, kind, quality=quality)
        assert agreeing(Image.open(buffer).convert("RGB")) >= 62
    small = marked.resize((192, 144), Image.Resampling.BICUBIC)
    assert agreeing(small.resize(marked.size, Image.Resampling.BICUBIC)) >= 62


@pytest.mark.parametrize("colour", ["white", "black", "red", "#808080", "#0000ff"])
def test_a_flat_picture_carries_the_mark(colour: str) -> None:
    """E4"""
    plain = Image.new("RGB", (96, 96), colour)
    assert agreeing(mark(plain)) >= 60
    assert psnr(plain, mark(plain)) > 37


def test_the_mark_is_written_into_brightness_alone() -> None:
    plain, marked = (np.asarray(image, int) for image in (picture(), mark(picture())))
    change = marked - plain
    assert np.abs(change - change.mean(axis=2, keepdims=True)).max() <= 1


def test_a_block_holds_the_bit_that_the_format_names() -> None:
    where = places(3, 4, 10)
    assert where.tolist() == [[0, 1, 2, 3], [8, 9, 0, 1], [6, 7, 8, 9]]
    assert (capacity(64, 64), capacity(128, 64), capacity(63, 64), capacity(7, 64)) == (64, 72, 7, 0)


def test_marking_again_with_another_word_replaces_the_first() -> None:
    other = 1 - np.array(PAYLOAD_BITS)
    again = embed_luma(np.asarray(mark(picture())), other.astype(bool))
    assert list(read(Image.fromarray(again), 64)) == other.tolist()


def test_a_label_is_drawn_before_the_mark_and_as_high_as_asked() -> None:
    image = picture()
    labelled = draw_label(image)
    assert labelled.size == image.size
    changed = np.flatnonzero((np.asarray(labelled) != np.asarray(image)).any(axis=(1, 2)))
    assert len(changed) >= HEIGHT_SHARE * min(image.size)
    assert agreeing(mark(image, label="AI generated")) >= 62


def test_a_provider_is_named_in_the_packet_with_a_number_and_the_time(make: Any) -> None:
    """E4"""
    result = make(on=SDK.create_plugin({"device": "cpu", "marking": {"provider": PROVIDER, "label": True}}))
    packet = result.metadata[XMP_KEYWORD]
    assert "<Iptc4xmpExt:AISystemUsed>Ink</Iptc4xmpExt:AISystemUsed>" in packet
    assert "Me &amp; Co" in packet
    table = json.loads(packet.split("<TC260:AIGC>")[1].split("</TC260:AIGC>")[0].replace("&amp;", "&"))
    assert (table["Label"], table["ContentProducer"], len(table["ProduceID"])) == ("1", "Me & Co", 32)
    assert all(isinstance(value, str) for value in table.values())


def test_equal_images_have_one_number_and_others_another() -> None:
    packets = [
        Image.open(io.BytesIO(marked_png(picture(seed=seed), provider=Provider("A", "B", "1")))).info[
            XMP_KEYWORD
        ]
        for seed in (1, 1, 2)
    ]
    assert packets[0] == packets[1] != packets[2]


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"label": 3}, "marking.label: must be true"),
        ({"label": "x" * 41}, "1 to 40 characters"),
        ({"provider": {"name": "A"}}, "marking.provider.system: is missing"),
        ({"provider": {**PROVIDER, "cod": "1"}}, 'Did you mean "code"'),
        ({"provider": {**PROVIDER, "name": ""}}, "marking.provider.name: must be text"),
        ({"credentials": {"chain": "a.pem"}}, "marking.credentials.key: is missing"),
        ({"credentials": {"chain": "a", "key": "b", "algorithm": "rsa"}}, "must be one of es256"),
        ({"credentials": True}, "must be a table"),
    ],
)
def test_a_mistake_in_what_is_added_is_told(policy: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SDK.create_plugin({"marking": policy})


def test_an_image_that_cannot_be_signed_is_told(make: Any, tmp_path: Path) -> None:
    keys = {"chain": str(tmp_path / "chain.pem"), "key": str(tmp_path / "key.pem")}
    result = make(on=SDK.create_plugin({"device": "cpu", "marking": {"credentials": keys}}))
    with pytest.raises(Exception, match="cannot be signed"):
        result.png()


def test_a_blur_is_what_the_mark_does_not_outlive() -> None:
    """The control that shows the reading means something."""
    assert agreeing(mark(picture()).filter(ImageFilter.GaussianBlur(6))) < 51
