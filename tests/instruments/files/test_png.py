"""The bounded PNG reader agrees with an image library on sound files, and refuses everything else by name."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from certify.instruments.files.png import MAX_TEXT_BYTES, PngError, read_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def header(width=2, height=2, depth=8, colour=2, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(*chunks):
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def body(width=2, height=2, channels=3, fill=7):
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes([fill]) * (width * channels)) * height))


def picture(width, height, seed=0):
    """Gradients with noise, so that an encoder uses all row filters."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 3, y * 2, x + y], axis=-1)
    return Image.fromarray(((smooth + rng.integers(0, 24, smooth.shape)) % 256).astype(np.uint8))


def with_a_filter(row: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, 5).map(lambda kind: bytes([kind]) + row)


def written(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (1, 40), (40, 1), (64, 48)])
def test_pixels_are_those_that_pillow_reads(mode: str, size: tuple[int, int]) -> None:
    image = picture(*size).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(picture(*size, seed=1).convert("L"))
    data = written(image)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    read = read_png(data)
    assert (read.width, read.height) == size
    assert read.pixels.dtype == np.uint8
    assert np.array_equal(read.pixels, expected)


@pytest.mark.parametrize("colours", [2, 4, 16])
def test_packed_palettes_are_those_that_pillow_reads(colours):
    data = written(picture(13, 5).quantize(colours))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(read_png(data).pixels, expected)


@pytest.mark.parametrize("kind", range(5))
def test_each_row_filter_is_undone(kind):
    """By the definition in the format's chapter 9, done a byte at a time."""
    rng = np.random.default_rng(kind)
    raw = rng.integers(0, 256, (4, 15))
    expected = np.zeros((5, 18), int)
    for row, column in np.ndindex(4, 15):
        a, b, c = expected[row + 1, column], expected[row, column + 3], expected[row, column]
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        expected[row + 1, column + 3] = (raw[row, column] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
    lines = b"".join(bytes([kind, *line]) for line in raw)
    read = read_png(png(header(5, 4), chunk(b"IDAT", zlib.compress(lines))))
    assert np.array_equal(read.pixels.reshape(4, 15), expected[1:, 3:])


def test_texts_of_all_three_kinds_are_read():
    info = PngImagePlugin.PngInfo()
    info.add_text("plain", "caf\xe9")
    info.add_text("packed", "a" * 500, zip=True)
    info.add_itxt("prompt", "\u5728\u7af9\u6797\u91cc")
    info.add_itxt("packed-prompt", "\uc885\uc774\ubc30", zip=True)
    texts = read_png(written(picture(4, 4), pnginfo=info)).texts
    assert texts == {
        "plain": "caf\xe9",
        "packed": "a" * 500,
        "prompt": "\u5728\u7af9\u6797\u91cc",
        "packed-prompt": "\uc885\uc774\ubc30",
    }


def test_of_two_texts_with_one_key_both_count():
    one, other = chunk(b"tEXt", b"k\0a"), chunk(b"tEXt", b"k\0b")
    sound_body = body()
    assert read_png(png(header(), one, one, sound_body)).texts == {"k": "a"}
    assert read_png(png(header(), one, other, sound_body)).texts == {"k": "a\nb"}


@pytest.mark.parametrize(("alpha", "told"), [(255, ""), (254, "parts of it are transparent")])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_hides_pixels_is_told(mode, alpha, told):
    image = Image.new(mode, (4, 4), (7,) * (len(mode) - 1) + (255,))
    image.putpixel((3, 2), (7,) * (len(mode) - 1) + (alpha,))
    assert read_png(written(image)).besides == told


def test_what_follows_a_picture_in_an_animation_is_told():
    frames = [Image.new("RGB", (4, 4), (level, 0, 0)) for level in (0, 90)]
    animated = written(frames[0], save_all=True, append_images=frames[1:])
    assert "animated" in read_png(animated).besides
    assert "transparent" in read_png(written(frames[0], transparency=(0, 0, 0))).besides


def test_what_follows_the_end_is_no_part_of_the_picture():
    data = written(picture(4, 4)) + chunk(b"tEXt", b"late\0text")
    assert read_png(data).texts == {}


BROKEN = {
    "the PNG signature is missing": b"GIF89a" + bytes(40),
    "the file ends before IEND": SIGNATURE + header() + body(),
    "the first chunk is not a header": png(body()),
    "a size of 0x2 is not allowed": png(header(width=0), body()),
    "a size of 2x9000 is not allowed": png(header(height=9000), body()),
    "there is no colour type 5": png(header(colour=5), body()),
    "16 bits with colour type 2 are not supported": png(header(depth=16), body()),
    "interlaced": png(header(interlace=1), body()),
    "unknown critical chunk ABCD": png(header(), chunk(b"ABCD", b""), body()),
    "a chunk has no legal name": png(header(), chunk(b"A1CD", b""), body()),
    "the palette has a wrong length": png(header(), chunk(b"PLTE", b"1234"), body()),
    "a pixel points outside the palette": png(
        header(colour=3), chunk(b"PLTE", b"123"), body(channels=1, fill=9)
    ),
    "not as long as the header says": png(header(), body(height=1)),
    "the compressed data is damaged": png(header(), chunk(b"IDAT", b"no zlib")),
    "there is no row filter 9": png(header(), chunk(b"IDAT", zlib.compress((b"\x09" + bytes(6)) * 2))),
    "the pixel data is cut off": png(header(), chunk(b"IDAT", zlib.compress(bytes(14))[:-4])),
    "a text key must have": png(header(), chunk(b"tEXt", b"\0text"), body()),
    "a text is not UTF-8": png(header(), chunk(b"iTXt", b"key\0\0\0\0\0\xff"), body()),
    "an international text is malformed": png(header(), chunk(b"iTXt", b"key\0\0\0"), body()),
    "more than 64 text chunks": png(header(), *[chunk(b"tEXt", b"key\0text")] * 65, body()),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_file_is_refused_with_the_reason(reason):
    with pytest.raises(PngError, match=reason):
        read_png(BROKEN[reason])


def test_a_wrong_checksum_is_refused():
    data = bytearray(png(header(), body()))
    data[20] ^= 1
    with pytest.raises(PngError, match="checksum of chunk IHDR"):
        read_png(bytes(data))


@pytest.mark.parametrize("kind", ["pixels", "text"])
def test_a_decompression_bomb_costs_little_memory(kind):
    bomb = zlib.compress(bytes(256 << 20), 9)
    if kind == "pixels":
        data, reason = png(header(), chunk(b"IDAT", bomb)), "not as long"
    else:
        data, reason = png(header(), chunk(b"zTXt", b"key\0\0" + bomb), body()), "the texts are longer"
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(PngError, match=reason):
            read_png(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(data) + 4 * MAX_TEXT_BYTES


SOUND = [written(picture(9, 7).convert(mode)) for mode in ("L", "RGB", "P", "RGBA")]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
    st.data(),
)
def test_mutated_files_raise_nothing_but_png_error(sound, changes, data):
    mutant = bytearray(sound)
    for place, value in changes:
        mutant[int(place * len(mutant))] = value
    if data.draw(st.booleans()):
        mutant = _with_right_checksums(bytes(mutant))
    if data.draw(st.booleans()):
        del mutant[data.draw(st.integers(0, len(mutant))) :]
    try:
        read = read_png(bytes(mutant), max_pixels=1 << 16)
    except PngError as error:
        assert str(error)
    else:
        assert read.pixels.shape == (read.height, read.width, 3)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200)
    # As many as belong there, with filters of rows that exist and one that does not.
    | st.lists(st.binary(min_size=9, max_size=9).flatmap(with_a_filter), min_size=3, max_size=3).map(b"".join)
)
def test_arbitrary_pixel_data_raises_nothing_but_png_error(raw):
    rows = [raw[at : at + 10] for at in range(0, len(raw), 10)]
    sound = len(raw) == 30 and all(row[0] <= 4 for row in rows)
    try:
        read = read_png(png(header(3, 3), chunk(b"IDAT", zlib.compress(raw))))
    except PngError as error:
        assert str(error) and not sound
    else:
        assert read.pixels.shape == (3, 3, 3) and sound


def _with_right_checksums(data):
    """Mends the checksums as far as the chunk lengths make sense, so that mutations reach what lies behind
    them.
    """
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return out + data[at:]
