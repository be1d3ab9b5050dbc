"""What users do to images, and how a mark and its picture fare."""

import numpy as np
import pytest
from PIL import Image

from certify.instruments.marks.pixels.attacks import ATTACKS, LEVELS, attacks_of
from certify.instruments.marks.pixels.explain import remarks, why_absent, why_lost
from certify.instruments.marks.pixels.fidelity import psnr, ssim
from certify.instruments.marks.pixels.invisible import read_mark
from certify.instruments.marks.pixels.payloads import KNOWN, KnownMark
from certify.instruments.marks.pixels.resample import resample, turn
from certify.instruments.marks.pixels.tiles import tile_map
from certify.instruments.marks.survey import where_found
from reference_engine.marking import DEFAULT_PAYLOAD
from tests.instruments.marks.photographs import clouds, soft
from tests.instruments.marks.test_classic import marked
from tests.instruments.marks.test_invisible import luma_marked

OWN = KnownMark("own", "lumaQim", DEFAULT_PAYLOAD, "here")
WORD = np.array([bit == "1" for bit in f"{int(DEFAULT_PAYLOAD, 16):064b}"])


def test_each_level_holds_those_below_it():
    sizes = [len(attacks_of(level)) for level in LEVELS]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_sdk_s_mark_is_found_after_every_attack(attack):
    pixels = luma_marked(clouds(1, 256, 320), WORD)
    seen = attack.apply(pixels, np.random.default_rng(1))
    assert seen.dtype == np.uint8
    assert np.array_equal(pixels, seen) == (attack.level == "R0")
    reading = read_mark(
        seen, WORD, "lumaQim", (320, 256), crops="crop" in attack.name, turns="rotated" in attack.name
    )
    assert reading.state == "present"


def test_an_attack_that_is_too_strong_loses_the_mark():
    gone = np.asarray(Image.fromarray(luma_marked(clouds(1, 256, 256), WORD)).resize((24, 24)))
    assert read_mark(gone, WORD, "lumaQim", (256, 256)).state != "present"


def test_resampling_agrees_with_pillow():
    pixels = soft(1, 120, 160)
    for size in ((90, 60), (240, 180)):
        theirs = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), int)
        ours = resample(pixels, *size).astype(int)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 2


def test_a_turned_picture_turns_back():
    pixels = soft(2, 128, 128)
    there_and_back = turn(turn(pixels, 5.0), -5.0)[32:-32, 32:-32].astype(int)
    assert np.abs(there_and_back - pixels[32:-32, 32:-32]).mean() < 3
    assert np.array_equal(turn(pixels, 0.0), pixels)
    theirs = np.asarray(Image.fromarray(pixels).rotate(5, Image.Resampling.BILINEAR), int)
    assert np.abs(turn(pixels, 5.0)[16:-16, 16:-16] - theirs[16:-16, 16:-16]).max() <= 3


def test_fidelity_in_figures_that_can_be_looked_up():
    pixels = np.full((64, 64, 3), 100, np.uint8)
    assert psnr(pixels, pixels) == float("inf")
    assert psnr(pixels, pixels + np.uint8(1)) == pytest.approx(48.13, abs=0.01)
    assert ssim(pixels, pixels) == pytest.approx(1.0)
    grained = clouds(1, 64, 64)
    assert 0 < ssim(grained, np.roll(grained, 8, axis=1)) < 0.9
    assert ssim(soft(1), luma_marked(soft(1))) > 0.9


def test_tiles_without_room_are_not_counted():
    says, free = np.ones((16, 16), bool), np.ones((16, 16), bool)
    free[:8] = False
    assert (tile_map(says, free).counted, tile_map(says, free).agree) == (8, True)
    says[8:, 8:] = np.arange(64).reshape(8, 8) % 2
    assert not tile_map(says, free).agree
    assert not tile_map(says, np.zeros_like(free)).agree


def test_the_cause_of_an_absent_mark_is_told_where_it_can_be():
    whole = luma_marked(soft(3, 256, 256), WORD)
    assert "cropped after it was marked" in why_absent(whole[11:, 5:], OWN).reason
    doubled = np.asarray(Image.fromarray(whole).resize((512, 512), Image.Resampling.BICUBIC))
    assert "marked at 256 x 256 and resized" in why_absent(doubled, OWN).reason
    other = KnownMark("other", "dwtDct", KNOWN[1].payload, "here")
    assert "another mark" in why_absent(whole, other).reason
    assert "under 256 unmarked" in why_absent(soft(4, 128, 128), other).reason
    nothing = why_absent(soft(4, 256, 256), OWN)
    assert (nothing.reason, bool(nothing.fix)) == ("", True)


def test_the_cause_of_a_lost_mark_is_told():
    assert "4:2:0" in why_lost("dwtDct", "JPEG 95").reason
    assert "brightness scales" in why_lost("dwtDctSvd", "brightness x 1.1").reason
    assert "counts its blocks" in why_lost("dwtDctSvd", "crop of 5 %").reason
    assert why_lost("lumaQim", "JPEG 50").fix


def test_what_is_odd_about_a_mark_is_told():
    warm = soft(3, 320, 320)
    warm[..., 2] //= 4
    sdxl = KNOWN[1].payload
    bits = [bit == "1" for bit in f"{int(sdxl, 16):048b}"]
    reading = read_mark(marked(warm, "dwtDct", bits, floats=True), sdxl, "dwtDct")
    assert reading.state == "present"
    assert "uint8" in remarks(reading)[0]
    assert where_found(reading) == "written on floats"
