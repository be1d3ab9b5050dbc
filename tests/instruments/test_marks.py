"""The mark decoders equal the library's bit for bit, and the verdict on them is honest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments import marks
from certify.instruments.marks import PayloadError, agreement, is_marked, payload_bits, unmarked_bound

PAYLOAD = np.random.default_rng(8).permutation([False, True] * 32)


def library(method):
    """The marker and decoder of the library, as our oracle."""
    from imwatermark.dwtDctSvd import EmbedDwtDctSvd
    from imwatermark.maxDct import EmbedMaxDct

    return {"dwtDctSvd": EmbedDwtDctSvd, "dwtDct": EmbedMaxDct}[method]


def picture(seed, height=96, width=120, low=30, high=225):
    """Smooth colour patches with some grain, RGB."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(low, high, (-(-height // 16), -(-width // 16), 3)).astype(float)
    smooth = patches.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def marked(rgb, method="dwtDctSvd", bits=PAYLOAD):
    bgr = library(method)([int(bit) for bit in bits], wmLen=len(bits)).encode(rgb[..., ::-1].copy())
    return np.ascontiguousarray(bgr[..., ::-1])


@pytest.mark.parametrize("method", ["dwtDctSvd", "dwtDct"])
@pytest.mark.parametrize("seed", range(6))
def test_decoders_equal_the_library_bit_for_bit(method, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(64, 150, 2))
    for rgb in (picture(seed, height, width), marked(picture(seed, height, width), method)):
        expected = library(method)(wmLen=64).decode(rgb[..., ::-1].copy())
        assert np.array_equal(marks.DECODERS[method](rgb, 64), expected)


def test_the_u_plane_is_that_of_opencv():
    import cv2

    rgb = np.random.default_rng(1).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    expected = cv2.cvtColor(rgb[..., ::-1].copy(), cv2.COLOR_BGR2YUV)[..., 1]
    assert np.array_equal(marks._u_plane(rgb), expected)


@pytest.mark.parametrize("size", [64, 96])
def test_a_marked_picture_is_present(size):
    reading = is_marked(marked(picture(3, size, size)), PAYLOAD, "dwtDctSvd")
    assert (reading.state, reading.polarity) == ("present", "normal")
    assert reading.k >= 62
    assert reading.p_value < 1e-12


def test_an_inverted_mark_is_present_and_said_to_be_inverted():
    reading = is_marked(marked(picture(3), bits=~PAYLOAD), PAYLOAD, "dwtDctSvd")
    assert (reading.state, reading.polarity) == ("present", "inverted")


def test_no_unmarked_picture_of_two_hundred_is_present():
    readings = [is_marked(picture(seed, 64, 64), PAYLOAD, "dwtDctSvd") for seed in range(200)]
    assert {reading.state for reading in readings} == {"absent"}
    assert min(reading.p_value for reading in readings) > 1e-4


def test_another_payload_is_absent():
    other = np.random.default_rng(9).permutation(PAYLOAD)
    assert is_marked(marked(picture(3), bits=other), PAYLOAD, "dwtDctSvd").state == "absent"


def test_a_picture_with_fewer_blocks_than_bits_cannot_carry_the_mark():
    assert is_marked(picture(0, 56, 64), PAYLOAD, "dwtDctSvd").state == "cannot-carry"
    assert is_marked(picture(0, 3, 3), PAYLOAD, "dwtDctSvd").state == "cannot-carry"


def test_a_white_page_cannot_carry_the_mark_and_a_grey_one_can():
    white = np.full((96, 96, 3), 255, np.uint8)
    grey = np.full((96, 96, 3), 128, np.uint8)
    assert is_marked(marked(white), PAYLOAD, "dwtDctSvd").state == "cannot-carry"
    assert is_marked(grey, PAYLOAD, "dwtDctSvd").state == "absent"
    assert is_marked(marked(grey), PAYLOAD, "dwtDctSvd").state == "present"


def test_a_partly_white_picture_is_no_excuse():
    page = picture(5)
    page[:40] = 255
    assert is_marked(page, PAYLOAD, "dwtDctSvd").state == "absent"


def test_the_threshold_for_64_bits_is_51_of_them_for_one_hypothesis_and_52_for_two():
    def p(k):
        bits = PAYLOAD.copy()
        bits[k:] = ~bits[k:]
        return agreement(bits, PAYLOAD)

    assert (p(51).k, p(51).n, p(51).hypotheses) == (51, 64, 2)
    assert p(51).p_value / 2 <= 1e-6 < p(50).p_value / 2
    assert p(52).p_value <= 1e-6 < p(51).p_value


def test_a_payload_may_be_hex():
    assert np.array_equal(payload_bits("b3ec907bb19e")[:8], [1, 0, 1, 1, 0, 0, 1, 1])
    assert payload_bits("B3EC907BB").size == 36


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
        is_marked(picture(0), payload, "dwtDctSvd")


def test_an_unknown_method_is_refused():
    with pytest.raises(PayloadError, match="no decoder"):
        is_marked(picture(0), PAYLOAD, "rivaGan")


def test_the_bound_on_unmarked_pictures():
    assert unmarked_bound(0) == 1.0
    assert unmarked_bound(59) == pytest.approx(0.05, abs=1e-3)
    assert unmarked_bound(299) == pytest.approx(0.01, abs=1e-4)
    assert unmarked_bound(59, confidence=0.99) > unmarked_bound(59)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.sampled_from(["dwtDctSvd", "dwtDct"]))
def test_every_size_and_every_flat_colour_can_be_read(height, width, level, method):
    reading = is_marked(np.full((height, width, 3), level, np.uint8), PAYLOAD, method)
    assert reading.state in ("absent", "cannot-carry")
    assert 32 <= reading.k <= reading.n == 64
