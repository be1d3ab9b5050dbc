"""Marks are looked for in everything that the run got back, and by the judge's own readers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from certify.candidate.candidate import Candidate
from certify.instruments.marks.files.gb45438 import read_aigc
from certify.instruments.marks.files.xmp import xmp_source_type
from certify.instruments.marks.pixels.explain import remarks, why_absent, why_not_whole
from certify.instruments.marks.pixels.invisible import MarkReading, read_mark, together
from certify.instruments.marks.pixels.payloads import KnownMark
from certify.instruments.marks.pixels.statistics import sequential, unmarked_bound
from certify.measure.checks import Broken, NotEvidenced, requirement
from certify.measure.context import Measurement
from certify.measure.marks.run_images import (
    fresh_word,
    generations_of,
    mark_of,
    pngs_of,
    read_generation,
    with_usual_word,
)
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.ledger import Ledger

SHOWN = 4
# A flat picture is no fault; a plugin most of whose pictures are flat cannot be shown to mark.
UNABLE_SHARE = 0.1
# So many images tell whether the reader finds words that nobody wrote.
CONTROLS = 60
# A residual of a classic mark may be copied to a picture of like colours; a word of the run cannot be.
FIXED = "their word is a fixed one, which proves that somebody ran the marker and no more"


@requirement("mark.declared")
def test_the_marks_are_declared(candidate: Candidate) -> None:
    marks = candidate.manifest.marks
    assert marks.invisible != "none", "The manifest declares no invisible mark."
    assert marks.metadata, "The manifest declares no metadata mark."


@requirement("mark.every-image")
def test_every_image_carries_the_declared_mark(
    candidate: Candidate,
    ledger: Ledger,
    measurement: Measurement,
    evidence: EvidenceBox,
    claim: Callable[[str], None],
) -> None:
    generations, mark = with_usual_word(ledger), mark_of(candidate)
    _check_the_reader(generations, mark, measurement.seed)
    readings: list[tuple[Generation, MarkReading]] = []
    for generation in generations:
        readings.append((generation, read_generation(generation, mark)))
        sure = (one for _, one in readings if one.state != "cannot-carry" and not one.doubtful)
        states = [one.state for one in sure]
        if (
            states.count("absent") >= SHOWN
            and sequential([state == "present" for state in states]).outcome == "bad"
        ):
            break
    doubtful = sum(reading.doubtful for _, reading in readings)
    readings = [
        (one, read) for (one, _), read in zip(readings, together([read for _, read in readings]), strict=True)
    ]
    unable = sum(reading.state == "cannot-carry" for _, reading in readings)
    unmarked = [row for row in readings if row[1].state == "absent"]
    able = len(readings) - unable
    for generation, reading in unmarked[:SHOWN]:
        told = f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g}"
        evidence.picture("unmarked", generation.pixels, f"{told} ({generation.requirement})")
    if unmarked:
        raise Broken(_told(unmarked, mark, able, len(generations), evidence))
    evidence.value("images that cannot carry a mark (too flat or too small)", unable)
    if unable > UNABLE_SHARE * len(readings):
        raise NotEvidenced(
            f"{unable} of {len(readings)} images could not carry the mark (too flat or too small)."
        )
    odd = [told for _, reading in readings for told in remarks(reading)[:1] if reading.state == "present"]
    if odd:
        evidence.text("Odd", f"{len(odd)} of {able} images: {odd[0]}")
    evidence.value("images that carry the mark", f"{able} of {able}")
    evidence.value("of these, images that prove the word together alone", doubtful)
    evidence.value("the greatest p-value", max(reading.p_value for _, reading in readings))
    bound = unmarked_bound(able)
    fixed = "" if "marks-by-sdk" in candidate.traits else f"; {FIXED}"
    share = f"with 95 % confidence fewer than {bound:.1%} are unmarked"
    claim(f"marks: {able} of {able} images marked; {share}{fixed}")


def _check_the_reader(generations: list[Generation], mark: KnownMark, seed: str) -> None:
    """The negative control: a word that nobody wrote must not be found, or finding one means nothing."""
    decoy = fresh_word(f"{seed}, a decoy", len(mark.payload))
    readings = together([read_mark(one.pixels, decoy, mark.method) for one in generations[:CONTROLS]])
    found = sum(reading.state == "present" for reading in readings)
    if found:
        raise NotEvidenced(
            f"The reader found a word that nobody wrote in {found} images; it cannot be believed."
        )


def _told(
    unmarked: list[tuple[Generation, MarkReading]],
    mark: KnownMark,
    able: int,
    all_of: int,
    evidence: EvidenceBox,
) -> str:
    generation, reading = unmarked[0]
    cause = why_absent(generation.pixels, mark)
    if cause.fix:
        evidence.text("How to mend it", cause.fix)
    rest = "" if able >= all_of else f" (the first {able} of {all_of} were read)"
    return (
        f"{len(unmarked)} of {able} images carry no mark{rest}; the first has {reading.k} of {reading.n} "
        f"bits (p = {reading.p_value:.2g}; the mark needs p <= 1e-6). {cause.reason}"
    ).strip()


@requirement("mark.whole-image")
def test_the_mark_covers_the_whole_image(candidate: Candidate, ledger: Ledger, evidence: EvidenceBox) -> None:
    partly = []
    seen = 0
    for generation in with_usual_word(ledger):
        reading = read_generation(generation, mark_of(candidate))
        if reading.state == "present":
            seen += 1
            if not reading.whole:
                partly.append((generation, reading))
    if not seen:
        raise NotEvidenced("No image carries the mark at all; see mark.every-image.")
    for generation, reading in partly[:SHOWN]:
        tiles = reading.tiles
        told = f"{tiles.agreeing} of {tiles.counted} parts carry it, {tiles.share:.0%} of the blocks"
        evidence.picture("not marked all over", generation.pixels, told)
    evidence.value("marked images", seen)
    assert not partly, (
        f"{len(partly)} of {seen} marked images do not carry the mark all over; the first: "
        f"{why_not_whole(partly[0][1])}"
    )


@requirement("mark.metadata")
def test_every_png_says_that_it_is_ai_generated(
    candidate: Candidate, ledger: Ledger, evidence: EvidenceBox
) -> None:
    generations = generations_of(ledger)
    declared = candidate.manifest.marks.metadata
    wrong = []
    for generation, png in pngs_of(generations):
        layers = [xmp_source_type(png.texts)]
        layers += [read_aigc(png.texts)] if "aigc" in declared else []
        wrong += [(generation, layer) for layer in layers if layer.state != "present"]
    if wrong:
        generation, layer = wrong[0]
        told = f"{layer.name} is {layer.state}: {layer.reason} (while measuring {generation.requirement})"
        evidence.text("First", told)
        evidence.text("How to mend it", layer.fix)
        raise Broken(
            f"{len({id(one) for one, _ in wrong})} of {len(generations)} PNGs do not say it; the first: "
            f"{layer.name} is {layer.state}: {layer.reason}"
        )


@requirement("mark.file-is-image")
def test_the_png_holds_the_pixels_that_were_returned(ledger: Ledger, evidence: EvidenceBox) -> None:
    for generation, png in pngs_of(generations_of(ledger)):
        if not np.array_equal(png.pixels, generation.pixels):
            evidence.picture("returned", generation.pixels)
            evidence.picture("in the PNG", png.pixels)
            raise Broken(
                f"A PNG holds another picture than was returned (while measuring {generation.requirement})."
            )
        if png.besides:
            told = f"A PNG does not show the picture alone: {png.besides}"
            raise Broken(f"{told} (while measuring {generation.requirement}).")
