"""The decoders of the classic marks equal the library's bit for bit."""

import numpy as np
import pytest

from certify.instruments.marks.pixels import classic
from tests.instruments.marks.photographs import clouds, soft

PAYLOAD = np.random.default_rng(8).permutation([False, True] * 32)


def library(method):
    """The marker and decoder of the library, as our oracle."""
    from imwatermark.dwtDctSvd import EmbedDwtDctSvd
    from imwatermark.maxDct import EmbedMaxDct

    return {"dwtDctSvd": EmbedDwtDctSvd, "dwtDct": EmbedMaxDct}[method]


def marked(rgb, method="dwtDctSvd", bits=PAYLOAD, floats=False):
    """As the library marks 8-bit pixels, or as it marks floats, which are made 8-bit afterwards."""
    bgr = rgb[..., ::-1].astype(np.float32 if floats else np.uint8)
    found = library(method)([int(bit) for bit in bits], wmLen=len(bits)).encode(np.ascontiguousarray(bgr))
    return np.ascontiguousarray(np.clip(np.rint(found[..., ::-1]), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("method", ["dwtDctSvd", "dwtDct"])
@pytest.mark.parametrize("seed", range(6))
def test_decoders_equal_the_library_bit_for_bit(method, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(64, 150, 2))
    for rgb in (clouds(seed, height, width), marked(clouds(seed, height, width), method)):
        expected = library(method)(wmLen=64).decode(rgb[..., ::-1].copy())
        assert np.array_equal(classic.decode(rgb, method, 64), expected)


def test_the_u_plane_is_that_of_opencv():
    import cv2

    rgb = np.random.default_rng(1).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    expected = cv2.cvtColor(rgb[..., ::-1].copy(), cv2.COLOR_BGR2YUV)[..., 1]
    assert np.array_equal(classic.u_plane(rgb), expected)


def test_the_u_plane_of_floats_is_that_of_opencv_but_for_the_rounding():
    import cv2

    rgb = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = cv2.cvtColor(rgb[..., ::-1].astype(np.float32), cv2.COLOR_BGR2YUV)[..., 1]
    assert np.abs(classic.u_plane(rgb, "float") - expected).max() < 1.1


def test_a_warm_picture_marked_on_floats_is_read_by_the_path_of_floats_alone():
    warm = soft(3, 320, 320)
    warm[..., 2] //= 4
    rgb = marked(warm, "dwtDct", floats=True)
    right = [(classic.decode(rgb, "dwtDct", 64, path) == PAYLOAD).sum() for path in ("float", "uint8")]
    assert right[0] >= 55
    assert right[1] <= 40


def test_the_fast_singular_values_are_the_exact_ones_up_to_a_hundredth():
    band = classic.band_of(classic.u_plane(clouds(2, 256, 256)))
    exact, fast = (classic.block_values(band, "dwtDctSvd", exact=way) for way in (True, False))
    assert np.abs(exact - fast).max() < 0.01
