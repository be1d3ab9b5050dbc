"""Each way to an image, and each way to fake one: sizes, reloads, words of chance, looking like a test."""

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
from certify.measure.marks.entry_paths import try_ways
from certify.measure.marks.run_images import fresh_word, made_of, mark_of, read_all, read_generation
from certify.measure.randomness import SMALL, Draw
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
PICTURES = 8
# Pictures of different requests that differ by less than this many levels, block by block and apart from a
# tint, are one picture.
ONE_PICTURE = 2.0
FROM_THE_RUN = 40
SURVIVORS = 4
SURVIVOR_SIDE = 256
"""At least; how much more is drawn for each."""


@requirement("mark.every-way")
def test_every_way_to_an_image_ends_in_the_mark(
    candidate: Candidate, plugin: RemotePlugin, draw: Draw, evidence: EvidenceBox
) -> None:
    tried = try_ways(plugin, draw)
    made = [(name, one) for way in tried for name, one in way.named()]
    if not made:
        raise NotEvidenced(f"The plugin refused every request ({tried[0].refused[:200]}); see sdk.sizes.")
    mark = mark_of(candidate)
    found = read_all([one for _, one in made], mark)
    readings = [(name, one, reading) for (name, one), reading in zip(made, found, strict=True)]
    evidence.text("Ways", "\n".join(f"{name:<32} {reading.state}" for name, _, reading in readings))
    if lacking := [f"{way.name:<32} {way.refused[:200]}" for way in tried if way.refused]:
        evidence.text("Not offered", "\n".join(lacking))
    unmarked = [row for row in readings if row[2].state == "absent"]
    for name, one, reading in unmarked[:SHOWN]:
        evidence.picture(name, one.pixels, f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g}")
    names = ", ".join(name for name, _, _ in unmarked)
    assert not unmarked, f"{len(unmarked)} of {len(made)} ways lead to an unmarked image: {names}."
    open_ones = [f"{way.name} ({way.unasked})" for way in tried if way.unasked]
    open_ones += [f"{name} (too flat or too small)" for name, _, one in readings if one.state != "present"]
    if open_ones:
        raise NotEvidenced(f"It could not be seen whether these ways mark: {', '.join(open_ones)}.")


@requirement("mark.fresh-payload")
def test_a_word_drawn_for_this_run_is_carried(
    plugin: RemotePlugin, candidate: Candidate, draw: Draw, measurement: Measurement, evidence: EvidenceBox
) -> None:
    word = fresh_word(measurement.seed)
    with plugin.opened_with(watermark_payload=word) as generate:
        made = made_of(generate, (draw.request() for _ in range(FRESH_IMAGES)))
    mark = replace(mark_of(candidate), payload=word)
    readings = [read_generation(generation, mark) for generation in made]
    told = [f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g}" for reading in readings]
    evidence.text("The word of this run", f"{word}\n" + "\n".join(told))
    usual = mark_of(candidate)
    old = [generation for generation in made if read_generation(generation, usual).state == "present"]
    if old:
        evidence.picture("carries the usual word", old[0].pixels)
    assert not old, f"{len(old)} of {len(made)} images carry the usual word, not the one that was drawn."
    lacking = sum(reading.state == "absent" for reading in readings)
    assert not lacking, f"{lacking} of {len(made)} images do not carry the word that was drawn: {told[0]}."
    if all(reading.state == "cannot-carry" for reading in readings):
        raise NotEvidenced("The images could not carry a mark (too flat or too small).")


@requirement("mark.alike")
def test_runs_that_look_like_tests_and_like_production_mark_alike(
    candidate: Candidate, plugin: RemotePlugin, draw: Draw, evidence: EvidenceBox
) -> None:
    mark = mark_of(candidate)
    test_like, production_like = [], []
    for number in range(PAIRS):
        as_test = {"prompt": "a test", "seed": number, **SMALL}
        test_like += made_of(plugin.generate, [as_test])
        production_like += made_of(plugin.generate, [_as_users_ask(draw, USUAL_STEPS[number])])
    states = [reading.state for reading in read_all([*test_like, *production_like], mark)]
    counts = [part.count("present") for part in (states[: len(test_like)], states[len(test_like) :])]
    chance = _fisher(counts[0], counts[1], PAIRS)
    evidence.value("marked of those that look like a test", f"{counts[0]} of {PAIRS}")
    evidence.value("marked of those that look like production", f"{counts[1]} of {PAIRS}")
    evidence.value("Fisher's exact p-value", chance)
    assert chance > RARE, (
        f"{counts[0]} of {PAIRS} images of test-like requests are marked, {counts[1]} of {PAIRS} of ordinary "
        f"ones (Fisher's exact test, p = {chance:.2g})."
    )


def _as_users_ask(draw: Draw, steps: int) -> dict[str, Any]:
    """A request in which nothing is as tests have it: a long prompt of words that no other prompt of the
    harness has, what is not wanted, usual steps.
    """
    random = draw.random
    return draw.request(
        prompt=", ".join(" ".join(_any_word(random) for _ in range(3)) for _ in range(5)),
        negative_prompt=f"{_any_word(random)}, {_any_word(random)}",
        cfg_scale=random.choice((5.0, 6.5, 8.0, 9.0, 11.0)),
        steps=steps,
        width=8 * random.randint(10, 15),
        height=8 * random.randint(10, 15),
    )


def _any_word(random: Random) -> str:
    return "".join(random.choices(ascii_lowercase, k=random.randint(3, 9)))


def _fisher(one: int, other: int, of: int) -> float:
    """Two-sided p-value of two counts out of `of` each having the same rate."""
    total = one + other
    ways = {k: comb(of, k) * comb(of, total - k) for k in range(max(0, total - of), min(of, total) + 1)}
    return sum(way for way in ways.values() if way <= ways[one]) / sum(ways.values())


@requirement("mark.new-pictures")
def test_different_requests_give_different_pictures(
    plugin: RemotePlugin, draw: Draw, evidence: EvidenceBox
) -> None:
    made = made_of(plugin.generate, (draw.request() for _ in range(PICTURES)))
    if len(made) < PICTURES:
        raise NotEvidenced("The plugin refused some of the requests; see sdk.sizes.")
    least, pair = min(
        ((_apart(one.pixels, other.pixels), (one, other)) for one, other in _unlike(plugin.ledger, made)),
        key=lambda found: found[0],
    )
    evidence.value("the least difference of two pictures", round(least, 2), "levels")
    if least < ONE_PICTURE:
        for generation in pair:
            evidence.picture(
                "made of different requests", generation.pixels, str(generation.request["prompt"])
            )
    assert least >= ONE_PICTURE, (
        f"Different prompts and seeds give one picture ({least:.2f} levels apart, block by block): "
        "a mark on it says nothing of the others."
    )


def _unlike(ledger: Ledger, made: list[Generation]) -> Iterator[tuple[Generation, Generation]]:
    """Pairs of the run's pictures of one size whose prompts and seeds both differ: the more there are, the
    larger a stock of pictures is found out.
    """
    asked = (one for one in ledger.generations if one.pixels.shape == made[0].pixels.shape)
    words = {str(one.request["prompt"]): one for one in asked if "strength" not in one.request}
    pictures = [*made, *[one for one in words.values() if one not in made][:FROM_THE_RUN]]
    return (
        (one, other)
        for one, other in combinations(pictures, 2)
        if one.request["seed"] != other.request["seed"]
    )


def _apart(one: Pixels, other: Pixels) -> float:
    """The mean difference of the means of blocks of 8 x 8 pixels, which no mark moves, where all blocks of a
    colour that are moved alike count as not moved: a stock picture may be tinted.
    """
    rows, columns = one.shape[0] // 8, one.shape[1] // 8
    means = [
        pixels[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3))
        for pixels in (one, other)
    ]
    moved = means[0] - means[1]
    return float(np.abs(moved - moved.mean(axis=(0, 1))).mean())


@requirement("mark.survives")
def test_the_mark_survives_what_the_policy_names(
    candidate: Candidate, plugin: RemotePlugin, draw: Draw, policy: LoadedPolicy, evidence: EvidenceBox
) -> None:
    mark = mark_of(candidate)
    sides = ([SURVIVOR_SIDE + 8 * draw.random.randint(0, 6) for _ in range(2)] for _ in range(SURVIVORS))
    made = made_of(plugin.generate, (draw.request(width=width, height=height) for width, height in sides))
    able = [one for one in made if read_generation(one, mark).state == "present"]
    if not able:
        raise NotEvidenced("No image carries the mark to begin with; see mark.every-image.")
    random = np.random.default_rng(draw.seed())
    shares = {}
    for attack in attacks_of(policy.policy.level):
        found = [
            read_mark(
                attack.apply(one.pixels, random),
                mark.payload,
                mark.method,
                (one.pixels.shape[1], one.pixels.shape[0]),
                crops="crop" in attack.name,
                turns="rotated" in attack.name,
            ).state
            for one in able
        ]
        shares[attack.name] = found.count("present") / len(able)
    level = policy.policy.level
    evidence.text(
        f"Found after the attacks of {level}",
        "\n".join(f"{name:<24} {share:.0%}" for name, share in shares.items()),
    )
    lost = [name for name, share in shares.items() if share < NEEDED]
    cause = why_lost(mark.method, lost[0]) if lost else None
    assert not lost, (
        f"The mark does not reach level {level}: after {', '.join(lost)} it is found in "
        f"{shares[lost[0]]:.0%} of {len(able)} images. {cause.reason if cause else ''}"
    ).strip()
