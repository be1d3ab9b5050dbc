"""Marks on every way to generate an image, and against ways to cheat, such as recognising a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from math import comb
from random import Random
from string import ascii_lowercase
from typing import Any

import numpy as np

from certify.candidate.candidate import Candidate
from certify.instruments.marks.pixels.attacks import NEEDED, attacks_of
from certify.instruments.marks.pixels.explain import why_lost
from certify.instruments.marks.pixels.invisible import read_mark
from certify.measure.checks import NotEvidenced, requirement
from certify.measure.context import Measurement
from certify.measure.marks.entry_paths import try_paths
from certify.measure.marks.run_images import fresh_word, made_of, mark_of, read_all, read_generation
from certify.measure.randomness import SMALL, Draws
from certify.plan.policy import LoadedPolicy
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.generation import Generation, Pixels
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.plugin import RemotePlugin

SHOWN = 4
PAIRS = 6
USUAL_STEPS = (20, 25, 28, 30, 35, 40)
RARE = 0.01
FRESH_IMAGES = 4
IMAGES = 8
# Two images whose blocks differ by less than this many levels, apart from a tint, are the same image.
SAME_IMAGE = 2.0
FROM_THE_RUN = 40
SURVIVORS = 4
# The shortest side in pixels; some more is drawn for each image.
SURVIVOR_SIDE = 256


@requirement("mark.every-way")
def test_every_way_to_an_image_marks_it(
    candidate: Candidate, plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    tried = try_paths(plugin, draws)
    made = [(name, image) for way in tried for name, image in way.named()]
    if not made:
        raise NotEvidenced(f"The plugin refused every request ({tried[0].refused[:200]}); see sdk.sizes.")
    mark = mark_of(candidate)
    marks = read_all([image for _, image in made], mark)
    readings = [(name, image, reading) for (name, image), reading in zip(made, marks, strict=True)]
    evidence.text("Ways", "\n".join(f"{name:<32} {reading.state}" for name, _, reading in readings))
    if lacking := [f"{way.name:<32} {way.refused[:200]}" for way in tried if way.refused]:
        evidence.text("Not offered", "\n".join(lacking))
    unmarked = [row for row in readings if row[2].state == "absent"]
    for name, image, reading in unmarked[:SHOWN]:
        evidence.picture(name, image.pixels, f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g}")
    names = ", ".join(name for name, _, _ in unmarked)
    assert not unmarked, (
        f"{len(unmarked)} of {len(made)} ways to generate an image leave it unmarked: {names}."
    )
    unknown = [f"{way.name} ({way.skipped})" for way in tried if way.skipped]
    unknown += [
        f"{name} (too flat or too small)" for name, _, reading in readings if reading.state != "present"
    ]
    if unknown:
        raise NotEvidenced(f"It could not be measured whether these ways mark images: {', '.join(unknown)}.")


@requirement("mark.fresh-payload")
def test_a_word_drawn_for_this_run_is_carried(
    plugin: RemotePlugin, candidate: Candidate, draws: Draws, measurement: Measurement, evidence: EvidenceBox
) -> None:
    word = fresh_word(measurement.seed)
    with plugin.opened_with(watermark_payload=word) as generate:
        made = made_of(generate, (draws.request() for _ in range(FRESH_IMAGES)))
    mark = replace(mark_of(candidate), payload=word)
    readings = [read_generation(generation, mark) for generation in made]
    counts = [f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g}" for reading in readings]
    evidence.text("The word of this run", f"{word}\n" + "\n".join(counts))
    usual = mark_of(candidate)
    old = [generation for generation in made if read_generation(generation, usual).state == "present"]
    if old:
        evidence.picture("carries the usual word", old[0].pixels)
    assert not old, (
        f"{len(old)} of {len(made)} images carry the usual word instead of the word drawn for this run."
    )
    lacking = sum(reading.state == "absent" for reading in readings)
    assert not lacking, (
        f"{lacking} of {len(made)} images do not carry the word drawn for this run: {counts[0]}."
    )
    if all(reading.state == "cannot-carry" for reading in readings):
        raise NotEvidenced("The images could not carry a mark (too flat or too small).")


@requirement("mark.alike")
def test_runs_that_look_like_tests_and_like_production_mark_alike(
    candidate: Candidate, plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    mark = mark_of(candidate)
    test_like, production_like = [], []
    for number in range(PAIRS):
        as_test = {"prompt": "a test", "seed": number, **SMALL}
        test_like += made_of(plugin.generate, [as_test])
        production_like += made_of(plugin.generate, [_as_users_ask(draws, USUAL_STEPS[number])])
    states = [reading.state for reading in read_all([*test_like, *production_like], mark)]
    counts = [part.count("present") for part in (states[: len(test_like)], states[len(test_like) :])]
    chance = _fisher(counts[0], counts[1], PAIRS)
    evidence.value("marked images of test-like requests", f"{counts[0]} of {PAIRS}")
    evidence.value("marked images of production-like requests", f"{counts[1]} of {PAIRS}")
    evidence.value("Fisher's exact p-value", chance)
    assert chance > RARE, (
        f"{counts[0]} of {PAIRS} images of test-like requests are marked, but {counts[1]} of {PAIRS} of "
        f"production-like requests (Fisher's exact test, p = {chance:.2g})."
    )


def _as_users_ask(draws: Draws, steps: int) -> dict[str, Any]:
    """A request that does not look like a test: a long prompt of words that no other prompt of the harness
    uses, a negative prompt, usual steps.
    """
    random = draws.random
    return draws.request(
        prompt=", ".join(" ".join(_any_word(random) for _ in range(3)) for _ in range(5)),
        negative_prompt=f"{_any_word(random)}, {_any_word(random)}",
        cfg_scale=random.choice((5.0, 6.5, 8.0, 9.0, 11.0)),
        steps=steps,
        width=8 * random.randint(10, 15),
        height=8 * random.randint(10, 15),
    )


def _any_word(random: Random) -> str:
    return "".join(random.choices(ascii_lowercase, k=random.randint(3, 9)))


def _fisher(first: int, second: int, of: int) -> float:
    """The two-sided p-value for two counts, each out of `of`, with the same rate."""
    total = first + second
    ways = {k: comb(of, k) * comb(of, total - k) for k in range(max(0, total - of), min(of, total) + 1)}
    return sum(way for way in ways.values() if way <= ways[first]) / sum(ways.values())


@requirement("mark.new-pictures")
def test_different_requests_give_different_images(
    plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    made = made_of(plugin.generate, (draws.request() for _ in range(IMAGES)))
    if len(made) < IMAGES:
        raise NotEvidenced("The plugin refused some of the requests; see sdk.sizes.")
    least, pair = min(
        (
            (_difference(first.pixels, second.pixels), (first, second))
            for first, second in _unlike(plugin.ledger, made)
        ),
        key=lambda row: row[0],
    )
    evidence.value("smallest difference between two images", round(least, 2), "levels")
    if least < SAME_IMAGE:
        for generation in pair:
            evidence.picture(
                "same image for different requests", generation.pixels, str(generation.request["prompt"])
            )
    assert least >= SAME_IMAGE, (
        f"Different prompts and seeds give the same image (blocks differ by {least:.2f} levels on average): "
        "a mark on a stock image says nothing about others."
    )


def _unlike(ledger: Ledger, made: list[Generation]) -> Iterator[tuple[Generation, Generation]]:
    """Pairs of the run's images of one size whose prompts and seeds both differ. The more pairs, the larger
    the stock of images that is detected.
    """
    candidates = (image for image in ledger.generations if image.pixels.shape == made[0].pixels.shape)
    by_prompt = {
        str(image.request["prompt"]): image for image in candidates if "strength" not in image.request
    }
    images = [*made, *[image for image in by_prompt.values() if image not in made][:FROM_THE_RUN]]
    return (
        (first, second)
        for first, second in combinations(images, 2)
        if first.request["seed"] != second.request["seed"]
    )


def _difference(first: Pixels, second: Pixels) -> float:
    """The mean difference of the means of 8 x 8 blocks, which no mark changes. A shift that all blocks of a
    colour share is ignored, because a stock image may be tinted.
    """
    rows, columns = first.shape[0] // 8, first.shape[1] // 8
    means = [
        pixels[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3))
        for pixels in (first, second)
    ]
    moved = means[0] - means[1]
    return float(np.abs(moved - moved.mean(axis=(0, 1))).mean())


@requirement("mark.survives")
def test_the_mark_survives_the_attacks_of_the_policy(
    candidate: Candidate, plugin: RemotePlugin, draws: Draws, policy: LoadedPolicy, evidence: EvidenceBox
) -> None:
    mark = mark_of(candidate)
    sides = ([SURVIVOR_SIDE + 8 * draws.random.randint(0, 6) for _ in range(2)] for _ in range(SURVIVORS))
    made = made_of(plugin.generate, (draws.request(width=width, height=height) for width, height in sides))
    able = [image for image in made if read_generation(image, mark).state == "present"]
    if not able:
        raise NotEvidenced("No image carries the mark before the attacks; see mark.every-image.")
    random = np.random.default_rng(draws.seed())
    shares = {}
    for attack in attacks_of(policy.policy.level):
        states = [
            read_mark(
                attack.apply(image.pixels, random),
                mark.payload,
                mark.method,
                (image.pixels.shape[1], image.pixels.shape[0]),
                crops="crop" in attack.name,
                turns="rotated" in attack.name,
            ).state
            for image in able
        ]
        shares[attack.name] = states.count("present") / len(able)
    level = policy.policy.level
    evidence.text(
        f"Images with the mark after the attacks of {level}",
        "\n".join(f"{name:<24} {share:.0%}" for name, share in shares.items()),
    )
    lost = [name for name, share in shares.items() if share < NEEDED]
    cause = why_lost(mark.method, lost[0]) if lost else None
    assert not lost, (
        f"The mark does not reach level {level}: after {', '.join(lost)} only "
        f"{shares[lost[0]]:.0%} of {len(able)} images carry it. {cause.reason if cause else ''}"
    ).strip()
