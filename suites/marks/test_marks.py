"""Marks in every image that the run received, read by the judge's own readers."""

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
# A flat image is no fault. Above this share of flat images, marking cannot be shown.
UNABLE_SHARE = 0.1
# The number of images in which the reader looks for a word that nobody wrote.
CONTROLS = 60
# The residual of a classic mark can be copied to an image with similar colours; a word of this run cannot.
FIXED = "their word is fixed, which proves only that somebody ran the marker"


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
        states = [row.state for _, row in readings if row.state != "cannot-carry" and not row.doubtful]
        if (
            states.count("absent") >= SHOWN
            and sequential([state == "present" for state in states]).outcome == "bad"
        ):
            break
    doubtful = sum(reading.doubtful for _, reading in readings)
    readings = [
        (generation, reading)
        for (generation, _), reading in zip(readings, together([row for _, row in readings]), strict=True)
    ]
    unable = sum(reading.state == "cannot-carry" for _, reading in readings)
    unmarked = [row for row in readings if row[1].state == "absent"]
    able = len(readings) - unable
    for generation, reading in unmarked[:SHOWN]:
        caption = f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g} ({generation.requirement})"
        evidence.picture("unmarked", generation.pixels, caption)
    if unmarked:
        raise Broken(_message(unmarked, mark, able, len(generations), evidence))
    evidence.value("images that cannot carry a mark (too flat or too small)", unable)
    if unable > UNABLE_SHARE * len(readings):
        raise NotEvidenced(
            f"{unable} of {len(readings)} images could not carry the mark (too flat or too small)."
        )
    odd = [remark for _, reading in readings for remark in remarks(reading)[:1] if reading.state == "present"]
    if odd:
        evidence.text("Remarks", f"{len(odd)} of {able} images: {odd[0]}")
    evidence.value("images that carry the mark", f"{able} of {able}")
    evidence.value("of these, images that prove the word only together", doubtful)
    evidence.value("the greatest p-value", max(reading.p_value for _, reading in readings))
    bound = unmarked_bound(able)
    fixed = "" if "marks-by-sdk" in candidate.traits else f"; {FIXED}"
    share = f"with 95 % confidence, fewer than {bound:.1%} are unmarked"
    claim(f"marks: {able} of {able} images marked; {share}{fixed}")


def _check_the_reader(generations: list[Generation], mark: KnownMark, seed: str) -> None:
    """The negative control: the reader must not find a word that nobody wrote."""
    decoy = fresh_word(f"{seed}, a decoy", len(mark.payload))
    readings = together([read_mark(image.pixels, decoy, mark.method) for image in generations[:CONTROLS]])
    false_alarms = sum(reading.state == "present" for reading in readings)
    if false_alarms:
        raise NotEvidenced(
            f"The reader reported a word that nobody wrote in {false_alarms} images, so it is not reliable."
        )


def _message(
    unmarked: list[tuple[Generation, MarkReading]],
    mark: KnownMark,
    able: int,
    total: int,
    evidence: EvidenceBox,
) -> str:
    generation, reading = unmarked[0]
    cause = why_absent(generation.pixels, mark)
    if cause.fix:
        evidence.text("Fix", cause.fix)
    rest = "" if able >= total else f" (the first {able} of {total} were read)"
    return (
        f"{len(unmarked)} of {able} images carry no mark{rest}; the first has {reading.k} of {reading.n} "
        f"bits (p = {reading.p_value:.2g}; a mark counts at p <= 1e-6). {cause.reason}"
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
        caption = f"{tiles.agreeing} of {tiles.counted} parts carry it, {tiles.share:.0%} of the blocks"
        evidence.picture("only partly marked", generation.pixels, caption)
    evidence.value("marked images", seen)
    assert not partly, (
        f"{len(partly)} of {seen} marked images carry the mark only in part; the first: "
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
        message = f"{layer.name} is {layer.state}: {layer.reason}"
        evidence.text("First", f"{message} (while measuring {generation.requirement})")
        evidence.text("Fix", layer.fix)
        raise Broken(
            f"{len({id(image) for image, _ in wrong})} of {len(generations)} PNG files do not say that they "
            f"are AI-generated; the first: {message}"
        )


@requirement("mark.file-is-image")
def test_the_png_holds_the_pixels_that_were_returned(ledger: Ledger, evidence: EvidenceBox) -> None:
    for generation, png in pngs_of(generations_of(ledger)):
        if not np.array_equal(png.pixels, generation.pixels):
            evidence.picture("returned", generation.pixels)
            evidence.picture("in the PNG", png.pixels)
            raise Broken(
                "The pixels of a PNG file differ from those of the result "
                f"(while measuring {generation.requirement})."
            )
        if png.besides:
            message = f"A PNG file contains more than the image: {png.besides}"
            raise Broken(f"{message} (while measuring {generation.requirement}).")
