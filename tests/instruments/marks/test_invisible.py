"""A mark is found wherever an honest one may lie, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.marks.pixels import luma, search
from certify.instruments.marks.pixels.attacks import ATTACKS
from certify.instruments.marks.pixels.explain import why_not_whole
from certify.instruments.marks.pixels.invisible import read_mark, together
from certify.instruments.marks.pixels.payloads import KNOWN, PayloadError, payload_bits
from reference_engine.marking.luma import embed_luma
from tests.instruments.marks.photographs import clouds, photo, soft
from tests.instruments.marks.test_classic import PAYLOAD, marked

SDXL = KNOWN[1].payload


def luma_marked(rgb, bits=PAYLOAD):
    return embed_luma(rgb, np.asarray(bits, np.bool_))


MARKERS = {
    "lumaQim": luma_marked,
    "dwtDctSvd": lambda rgb: marked(rgb, "dwtDctSvd"),
    "dwtDct": lambda rgb: marked(rgb, "dwtDct"),
}


@pytest.mark.parametrize(
    ("method", "size"),
    [("lumaQim", 64), ("lumaQim", 200), ("dwtDctSvd", 64), ("dwtDctSvd", 200), ("dwtDct", 256)],
)
def test_a_marked_picture_is_present_and_whole(method, size):
    reading = read_mark(MARKERS[method](soft(3, size, size)), PAYLOAD, method)
    assert (reading.state, reading.polarity, reading.whole) == ("present", "normal", True)
    assert reading.k >= reading.n - 4
    assert reading.p_value < 1e-9


@pytest.mark.parametrize("method", MARKERS)
def test_a_mirrored_picture_is_present_and_said_to_be_mirrored(method):
    reading = read_mark(MARKERS[method](clouds(4, 160, 160))[:, ::-1], PAYLOAD, method)
    assert (reading.state, reading.place.mirrored) == ("present", True)


@pytest.mark.parametrize("method", ["lumaQim", "dwtDct"])
def test_a_crop_is_found_by_the_grid_of_blocks(method):
    cut = MARKERS[method](soft(5, 512, 512))[13:470, 6:480]
    assert read_mark(cut, PAYLOAD, method).state == "absent"
    reading = read_mark(cut, PAYLOAD, method, size=(512, 512), crops=True)
    assert (reading.state, reading.place.offset) == ("present", ((8 - 13) % 8, (8 - 6) % 8))
    assert reading.whole


@pytest.mark.parametrize("method", ["lumaQim", "dwtDctSvd"])
def test_a_resized_picture_is_brought_back_to_its_size(method):
    from PIL import Image

    small = Image.fromarray(MARKERS[method](clouds(6, 256, 256))).resize((192, 192), Image.Resampling.BICUBIC)
    reading = read_mark(np.asarray(small), PAYLOAD, method, size=(256, 256))
    assert (reading.state, reading.place.resized) == ("present", True)


def test_how_much_brighter_a_picture_was_made_is_found():
    brighter = np.clip(luma_marked(clouds(7, 64, 64, 20, 180)) * 1.2, 0, 255).round().astype(np.uint8)
    assert read_mark(brighter, PAYLOAD, "lumaQim").state == "present"
    assert search.aligned_luma(brighter, PAYLOAD, luma.GAINS).place.gain == pytest.approx(1.2, abs=0.05)


def test_an_inverted_mark_is_present_and_said_to_be_inverted():
    reading = read_mark(marked(clouds(3), bits=~PAYLOAD), PAYLOAD, "dwtDctSvd")
    assert (reading.state, reading.polarity) == ("present", "inverted")


@pytest.mark.parametrize("name", ["chelsea", "coffee", "flower"])
def test_photographs_marked_on_floats_as_diffusers_does_are_present(name):
    pixels = marked(photo(name), "dwtDct", payload_bits(SDXL), floats=True)
    reading = read_mark(pixels, SDXL, "dwtDct")
    assert (reading.state, reading.place.path) == ("present", "float")


@pytest.mark.parametrize("method", MARKERS)
def test_no_unmarked_picture_of_a_hundred_is_present(method):
    readings = [read_mark(clouds(seed, 64, 64), PAYLOAD, method, crops=seed < 20) for seed in range(100)]
    assert {reading.state for reading in readings} == {"absent"}
    assert min(reading.p_value for reading in readings) > 1e-4


@pytest.mark.parametrize("method", MARKERS)
def test_another_payload_is_absent(method):
    other = np.random.default_rng(9).permutation(PAYLOAD)
    assert read_mark(MARKERS[method](clouds(3, 128, 128)), other, method, crops=True).state == "absent"


@pytest.mark.parametrize("method", MARKERS)
def test_a_picture_with_fewer_blocks_than_bits_cannot_carry_the_mark(method):
    assert read_mark(clouds(0, 56, 56), PAYLOAD, method).state == "cannot-carry"
    assert read_mark(clouds(0, 3, 3), PAYLOAD, method, crops=True).state == "cannot-carry"


def test_a_white_page_carries_lumaqim_and_not_the_classic_marks():
    white, grey = np.full((96, 96, 3), 255, np.uint8), np.full((96, 96, 3), 128, np.uint8)
    assert read_mark(marked(white), PAYLOAD, "dwtDctSvd").state == "cannot-carry"
    assert read_mark(grey, PAYLOAD, "dwtDctSvd").state == "absent"
    assert read_mark(luma_marked(white), PAYLOAD, "lumaQim").state == "present"
    assert read_mark(white, PAYLOAD, "lumaQim").state == "absent"


@pytest.mark.parametrize("method", MARKERS)
def test_a_pasted_quarter_is_not_whole(method):
    other = clouds(11, 256, 256)
    other[:128, :128] = MARKERS[method](clouds(12, 256, 256))[:128, :128]
    reading = read_mark(other, PAYLOAD, method)
    assert not reading.whole
    assert reading.tiles.agreeing <= 5


def test_lumaqim_in_all_but_some_blocks_is_not_whole():
    plain = clouds(13, 64, 64)
    spotted = luma_marked(plain)
    for number in range(0, 64, 5):
        down, right = number // 8 * 8, number % 8 * 8
        spotted[down : down + 8, right : right + 8] = plain[down : down + 8, right : right + 8]
    reading = read_mark(spotted, PAYLOAD, "lumaQim")
    assert reading.state == "present" and reading.tiles.agree and not reading.whole


def test_a_residual_that_was_copied_is_refused():
    mine, other = photo("astronaut"), photo("china")
    residual = luma_marked(mine).astype(int) - mine
    forged = np.clip(other + residual, 0, 255).astype(np.uint8)
    assert not read_mark(forged, PAYLOAD, "lumaQim").whole


@pytest.mark.parametrize(("method", "apart"), [("dwtDct", 0.15), ("dwtDctSvd", 0.05)])
def test_a_classic_mark_of_a_picture_that_is_nearly_the_same_is_present_and_not_whole(method, apart):
    mine = soft(3, 256, 256)
    other = (mine * (1 - apart) + soft(53, 256, 256) * apart).astype(np.uint8)
    residual = MARKERS[method](mine).astype(int) - mine
    reading = read_mark(np.clip(other + residual, 0, 255).astype(np.uint8), PAYLOAD, method)
    assert reading.state == "present"
    assert not reading.whole
    assert "another image's mark" in why_not_whole(reading) or "parts of the image" in why_not_whole(reading)


@pytest.mark.parametrize("method", ["dwtDct", "dwtDctSvd"])
@pytest.mark.parametrize("size", [96, 128, 256])
def test_a_classic_mark_as_its_marker_leaves_it_is_whole_wherever_it_fails_to_hold(method, size):
    found = [read_mark(MARKERS[method](soft(seed, size, size)), PAYLOAD, method) for seed in range(12)]
    present = [reading for reading in found if reading.state == "present"]
    assert len(present) >= 4
    assert all(reading.whole for reading in present)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("xy", "not hexadecimal"),
        ("b3ec", "32 to 256 bits"),
        ("b3" * 40, "32 to 256 bits"),
        ("00" * 8, "lopsided"),
        ("ff" * 8, "lopsided"),
    ],
)
def test_a_payload_that_proves_nothing_is_refused(payload, reason):
    with pytest.raises(PayloadError, match=reason):
        read_mark(clouds(0), payload, "dwtDctSvd")


def test_an_unknown_method_is_refused():
    with pytest.raises(PayloadError, match="no decoder"):
        read_mark(clouds(0), PAYLOAD, "rivaGan")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.sampled_from(list(MARKERS)))
def test_every_size_and_every_flat_colour_can_be_read(height, width, level, method):
    reading = read_mark(np.full((height, width, 3), level, np.uint8), PAYLOAD, method)
    assert reading.state in ("absent", "cannot-carry")
    assert 0 <= reading.k <= reading.n <= 64


def test_a_short_word_in_small_pictures_is_proved_by_all_of_them_together():
    encoder = pytest.importorskip("imwatermark.maxDct", reason="the extra test")
    word = payload_bits(KNOWN[1].payload)

    def written(seed):
        bgr = np.ascontiguousarray(soft(seed, 64, 64)[..., ::-1])
        return encoder.EmbedMaxDct([int(bit) for bit in word], wmLen=word.size).encode(bgr)[..., ::-1]

    alone = [read_mark(np.ascontiguousarray(written(seed)), word, "dwtDct") for seed in range(20)]
    assert sum(reading.doubtful for reading in alone) > 5
    assert {reading.state for reading in together(alone)} == {"present"}
    unmarked = [read_mark(soft(seed, 64, 64), word, "dwtDct") for seed in range(100)]
    assert [reading.state for reading in together([*alone, *unmarked])].count("present") == 20


def test_a_long_word_is_never_proved_by_others():
    word = np.random.default_rng(8).permutation([False, True] * 32)
    weak = replace(read_mark(soft(1, 64, 64), word, "lumaQim"), p_value=1e-3)
    assert {reading.state for reading in together([weak] * 50)} == {"absent"}


def test_lumaqim_outlives_webp_in_a_dark_picture_most_of_whose_blocks_it_wipes_out():
    """There every block says the same afterwards, but for those that kept the other bit."""
    dark = np.full((256, 256, 3), 26.0) + np.random.default_rng(1).normal(0, 0.5, (256, 256, 1))
    attack = next(attack for attack in ATTACKS if attack.name == "WebP 80")
    seen = attack.apply(luma_marked(np.rint(dark).astype(np.uint8)), np.random.default_rng(0))
    assert read_mark(seen, PAYLOAD, "lumaQim").state == "present"


def test_a_short_word_in_the_smallest_pictures_is_present_or_doubtful_where_it_was_written():
    short = payload_bits(KNOWN[1].payload)
    pictures = [soft(seed, 64, 64) for seed in range(150)]
    written = [read_mark(marked(one, "dwtDct", short), short, "dwtDct") for one in pictures]
    assert all(reading.state == "present" or reading.doubtful for reading in written)
    unwritten = [read_mark(one, short, "dwtDct") for one in pictures]
    assert sum(reading.state == "present" or reading.doubtful for reading in unwritten) <= 4
