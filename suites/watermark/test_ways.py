"""Each way to an image, and each way to fake one: sizes, reloads, words of chance, looking like a test."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np

from certify.candidate import Candidate
from certify.checks import NotEvidenced, requirement
from certify.context import RunContext
from certify.draw import SMALL, Draw
from certify.evidence import EvidenceBox
from certify.host.remote import Pixels, RemotePlugin
from certify.instruments.marks.attacks import NEEDED, attacks_of
from certify.instruments.marks.causes import why_lost
from certify.instruments.marks.invisible import read_mark
from certify.marked import fresh_word, made_of, mark_of, read_all, read_generation
from certify.policy import LoadedPolicy
from certify.ways import try_ways

SHOWN = 4
PAIRS = 6
RARE = 0.01
FRESH_IMAGES = 4
PICTURES = 4
# Pictures of different requests that differ by less than this many levels, block by block, are one picture.
ONE_PICTURE = 2.0
SURVIVORS = 4
SURVIVOR_SIDE = 256


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


@requirement("mark.fresh-payload")
def test_a_word_drawn_for_this_run_is_carried(
    plugin: RemotePlugin, candidate: Candidate, draw: Draw, run: RunContext, evidence: EvidenceBox
) -> None:
    word = fresh_word(run.seed)
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
        steps = draw.random.randint(16, 22)
        test_like += made_of(plugin.generate, [as_test])
        production_like += made_of(plugin.generate, [draw.request(width=96, height=96, steps=steps)])
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
    apart = [
        _apart(one.pixels, other.pixels) for number, one in enumerate(made) for other in made[number + 1 :]
    ]
    evidence.value("the least difference of two pictures", round(min(apart), 2), "levels")
    if min(apart) < ONE_PICTURE:
        for generation in made:
            evidence.picture(
                "made of different requests", generation.pixels, str(generation.request["prompt"])
            )
    assert min(apart) >= ONE_PICTURE, (
        f"Different prompts and seeds give one picture ({min(apart):.2f} levels apart, block by block): "
        "a mark on it says nothing of the others."
    )


def _apart(one: Pixels, other: Pixels) -> float:
    """The mean difference of the means of blocks of 8 x 8 pixels, which no mark moves."""
    if one.shape != other.shape:
        return 255.0
    rows, columns = one.shape[0] // 8, one.shape[1] // 8
    means = [
        pixels[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3))
        for pixels in (one, other)
    ]
    return float(np.abs(means[0] - means[1]).mean())


@requirement("mark.survives")
def test_the_mark_survives_what_the_policy_names(
    candidate: Candidate, plugin: RemotePlugin, draw: Draw, policy: LoadedPolicy, evidence: EvidenceBox
) -> None:
    mark = mark_of(candidate)
    side = SURVIVOR_SIDE
    made = made_of(plugin.generate, (draw.request(width=side, height=side) for _ in range(SURVIVORS)))
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
        f"{shares[lost[0]]:.0%} of {len(able)} images. {cause.told if cause else ''}"
    ).strip()
