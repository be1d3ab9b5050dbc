"""Every way to an image ends in the marks, and a configuration can only add to them."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reference_engine import SDK, ConfigError, ImageResult, draft_then_refine
from reference_engine.marking import PAYLOAD_BITS, XMP_KEYWORD, read, xmp_packet

SMALL: dict[str, Any] = {"steps": 5, "width": 64, "height": 64, "seed": 1}


def share_read_back(image: Image.Image) -> float:
    said = read(image, len(PAYLOAD_BITS))
    return sum(one == other for one, other in zip(said, PAYLOAD_BITS, strict=True)) / len(said)


def is_marked(result: ImageResult) -> bool:
    text = Image.open(io.BytesIO(result.png())).text  # type: ignore[attr-defined]
    return (
        share_read_back(result.image) > 0.85
        and text[XMP_KEYWORD] == xmp_packet()
        and result.marks.method == "lumaQim"
    )


@pytest.mark.parametrize(
    ("config", "keywords"),
    [
        ({}, {}),
        ({"tiling": "always"}, {"width": 640, "height": 128}),
        ({}, {"num_images": 2}),
        ({}, {"init_image": Image.new("RGB", (96, 80), "teal"), "strength": 0.6}),
        ({"marking": {"text": {"Software": "Inkwash 1.0"}}}, {}),
    ],
    ids=["plain", "tiles", "batch", "from an image", "with a policy"],
)
def test_every_way_to_an_image_ends_in_the_marks(
    config: dict[str, Any], keywords: dict[str, Any], make: Any
) -> None:
    """E4"""
    result = make(on=SDK.create_plugin({"device": "cpu", **config}), **keywords)
    assert all(is_marked(one) for one in result.each)
    assert len(result.images) == keywords.get("num_images", 1)


def test_draft_and_refinement_are_both_marked_and_the_draft_is_where_it_starts() -> None:
    """D4, E4"""
    draft = SDK.create_plugin({"device": "cpu", "model_type": "v1.5"})
    refine = SDK.create_plugin({"device": "cpu", "model_type": "v2.0"})
    told: list[tuple[int, int]] = []

    def both(strength: float) -> Any:
        return asyncio.run(
            draft_then_refine(
                draft,
                refine,
                "a harbour",
                draft_steps=5,
                steps=10,
                strength=strength,
                seed=4,
                draft_size=(64, 64),
                size=(96, 96),
                progress=lambda done, total: told.append((done, total)),
            )
        )

    faithful, free = both(0.2), both(1.0)
    assert faithful.draft.image.size == (64, 64)
    assert faithful.image.image.size == (96, 96)
    assert is_marked(faithful.draft)
    assert is_marked(faithful.image)
    assert json.loads(faithful.image.metadata["parameters-json"])["model_type"] == "v2.0"
    assert faithful.draft.seed == faithful.image.seed == 4

    def refined(**start: Any) -> bytes:
        task = {"steps": 10, "width": 96, "height": 96, "seed": 4, **start}
        image: bytes = asyncio.run(refine.generate_image("a harbour", **task)).image.tobytes()
        return image

    assert faithful.image.image.tobytes() == refined(init_image=faithful.draft.image, strength=0.2)
    assert faithful.image.image.tobytes() != refined(init_image=Image.new("RGB", (64, 64)), strength=0.2)
    assert free.image.image.tobytes() == refined()  # all made anew: nothing of the draft is left
    assert told[:5] == [(done, 5) for done in range(1, 6)]


def test_every_image_of_a_call_has_its_own_seed_and_can_be_made_alone(make: Any) -> None:
    results = make(num_images=3, seed=7).each
    assert [one.seed for one in results] == [7, 8, 9]
    assert [json.loads(one.metadata["parameters-json"])["seed"] for one in results] == [7, 8, 9]
    alone = np.asarray(make(seed=8).image, int)
    assert np.abs(alone - np.asarray(results[1].image, int)).mean() < 1


def test_a_policy_adds_text_and_replaces_none(make: Any) -> None:
    """E4"""
    text = {"Software": "Inkwash 1.0", "Comment": "制作"}
    result = make(on=SDK.create_plugin({"device": "cpu", "marking": {"text": text, "invisible": True}}))
    read = Image.open(io.BytesIO(result.png())).text  # type: ignore[attr-defined]
    assert text.items() <= read.items()
    assert read["prompt"] == "a cat on a mat"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"invisible": False}, "marking.invisible: every image carries this mark"),
        ({"metadata": None}, "marking.metadata: every image carries this mark"),
        ({"text": {XMP_KEYWORD: "nothing"}}, "the SDK writes this itself"),
        ({"text": {"prompt": "another"}}, "the SDK writes this itself"),
        ({"text": {"": "a"}}, "PNG keyword"),
        ({"text": {" Software": "a"}}, "PNG keyword"),
        ({"text": {"作者": "a"}}, "PNG keyword"),
        ({"text": {"Software": "a\0b"}}, "without NUL"),
        ({"text": ["Software"]}, "table of keyword to text"),
        ({"txt": {}}, 'Did you mean "text"'),
        (False, "must be a table"),
    ],
)
def test_a_policy_cannot_take_a_mark_away(policy: Any, told: str) -> None:
    """E4"""
    with pytest.raises(ConfigError, match=told):
        SDK.create_plugin({"marking": policy})
