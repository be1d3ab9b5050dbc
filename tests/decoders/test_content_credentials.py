"""Content credentials, signed by the SDK and read by the judge: offline, and by its own trust list."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from certify import decoders as apart
from certify.instruments.marks.files.credentials import replayed
from certify.instruments.marks.layers import Layer
from certify.measure.marks.image_file import has_manifest, read_credentials
from reference_engine import SDKError
from reference_engine.marking import Credentials, marked_png
from tests.instruments.marks.photographs import soft
from tests.measure.marks.authority import Authority, make_authority

IMAGE = Image.fromarray(soft(3, 96, 96))


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    pytest.importorskip("c2pa", reason="the extra c2pa")
    return make_authority(tmp_path_factory.mktemp("author"), "Author")


def signed(author: Authority, seed: int = 3) -> bytes:
    image = Image.fromarray(soft(seed, 96, 96))
    return marked_png(image, credentials=Credentials(author.chain, author.key))


def read(data: bytes, author: Authority | None) -> Layer:
    anchors = author.anchors.read_text() if author else ""
    return read_credentials([data], "image/png", anchors)[0]


def test_a_signed_image_is_present_under_its_own_trust_list(author: Authority) -> None:
    data = signed(author)
    assert has_manifest(data)
    assert (read(data, author).state, read(data, author).value) == ("present", "Author")
    assert read(data, None).state == "not-checkable-here"


def test_another_authority_of_the_same_name_is_refused(author: Authority, tmp_path: Path) -> None:
    layer = read(signed(make_authority(tmp_path, "Author")), author)
    assert (layer.state, layer.reason) == ("malformed", "it is signed by nobody on the trust list")


def test_a_flipped_byte_of_the_picture_is_told(author: Authority) -> None:
    data = bytearray(signed(author))
    data[-200] ^= 1
    layer = read(bytes(data), author)
    assert layer.state == "malformed"
    assert "assertion.dataHash.mismatch" in layer.reason
    assert layer.fix.startswith("Sign last of all")


def test_a_manifest_that_was_moved_to_another_image_is_told(author: Authority) -> None:
    one, other = signed(author, 3), marked_png(Image.fromarray(soft(4, 96, 96)))
    start = one.index(b"caBX") - 4
    chunk = one[start : start + 12 + int.from_bytes(one[start : start + 4], "big")]
    moved = other[:33] + chunk + other[33:]
    assert read(moved, author).state == "malformed"


def test_a_flipped_byte_of_the_manifest_is_told(author: Authority) -> None:
    data = bytearray(signed(author))
    data[data.index(b"trainedAlgorithmicMedia")] ^= 1
    assert read(bytes(data), author).state == "malformed"


def test_what_re_encodes_an_image_strips_it(author: Authority) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(signed(author))).save(buffer, "PNG")
    assert read(buffer.getvalue(), author).state == "absent"


def test_one_manifest_on_two_images_is_a_replay(author: Authority) -> None:
    anchors = author.anchors.read_text()
    data = signed(author)
    twice = read_credentials([data, signed(author, 5), data], "image/png", anchors)
    assert len(replayed(twice)) == 1
    assert replayed(twice[:2]) == []


def test_a_key_that_cannot_be_used_is_told(author: Authority, tmp_path: Path) -> None:
    with pytest.raises(SDKError, match="cannot be signed"):
        marked_png(IMAGE, credentials=Credentials(author.chain, tmp_path / "none.pem"))
    other = make_authority(tmp_path, "Other")
    with pytest.raises(SDKError, match="cannot be signed"):
        marked_png(IMAGE, credentials=Credentials(author.chain, other.anchors))


def test_without_the_library_a_manifest_is_not_checkable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # which is where the reader looks for libraries
    with_one, without = read_credentials([b"\x89PNG caBX jumb", b"no manifest"], "image/png")
    assert with_one.state == "not-checkable-here"
    assert "pip install sd-certify[c2pa]" in with_one.reason
    assert without.state == "absent"


def test_a_reader_that_dies_costs_one_answer() -> None:
    with pytest.raises(apart.NotReadable, match="gave no answer"):
        apart.read_apart("no_such_reader", {})


def test_a_reader_that_takes_too_long_is_ended() -> None:
    with pytest.raises(apart.NotReadable, match="gave no answer"):
        apart.read_apart("images", {}, bytes(1000), seconds=0.0)
