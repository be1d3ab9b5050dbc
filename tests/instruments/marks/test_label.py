"""A visible label is told from pictures by staying the same."""

import numpy as np
import pytest
from PIL import Image

from certify.instruments.marks.pixels.label import read_label
from reference_engine.marking import mark
from reference_engine.marking.label import draw_label
from tests.instruments.marks.photographs import soft


def pictures(count=9, size=128):
    return [Image.fromarray(soft(seed, size, size, 0, 255)) for seed in range(count)]


def labelled(size=128, text="AI generated"):
    return [np.asarray(mark(image, label=text)) for image in pictures(size=size)]


@pytest.mark.parametrize("size", [64, 128, 320])
def test_a_label_on_every_picture_is_present_high_and_clear(size):
    layer = read_label(labelled(size))
    assert layer.state == "present", layer.reason
    assert float(layer.facts["height"].partition("%")[0]) >= 5


def test_pictures_without_a_label_have_none():
    assert read_label([np.asarray(mark(image)) for image in pictures()]).state == "absent"


def test_a_black_bar_is_no_label():
    barred = [np.array(image) for image in pictures()]
    for one in barred:
        one[-12:] = 0
    assert read_label(barred).state == "absent"


def test_a_label_on_the_first_picture_alone_is_none():
    bare = [np.asarray(mark(image)) for image in pictures()]
    assert read_label([labelled()[0], *bare[1:]]).state == "absent"


def test_a_label_that_one_picture_lacks_is_told():
    layer = read_label([*labelled()[:8], np.asarray(mark(pictures()[8]))])
    assert (layer.state, "1 of 9 images lack it" in layer.reason) == ("malformed", True)


def test_a_faint_or_a_low_label_is_malformed():
    faint, low = [], []
    for image in pictures(size=256):
        grey = np.array(draw_label(image))
        box = np.array(draw_label(Image.new("RGB", image.size, (128, 128, 128)))) != 128
        grey[box] = np.clip(grey[box] * 0.2 + 100, 0, 255)
        faint.append(grey)
        small = np.array(image)
        small[-10:, :40] = np.asarray(draw_label(Image.new("RGB", (256, 90))))[-10:, :40]
        low.append(small)
    assert "contrast" in read_label(faint).reason
    assert "of the shortest side high" in read_label(low).reason


def test_too_few_or_too_equal_pictures_tell_nothing():
    assert read_label(labelled()[:7]).state == "not-checkable-here"
    assert read_label([labelled()[0]] * 9).state == "not-checkable-here"
