"""Marks are looked for in everything that the run got back, and by the judge's own decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from certify.candidate import Candidate
from certify.checks import Broken, NotEvidenced, requirement
from certify.evidence import EvidenceBox
from certify.host.remote import Generation, Ledger
from certify.instruments.marks.invisible import MarkReading, read_mark
from certify.instruments.marks.statistics import unmarked_bound
from certify.instruments.marks.xmp import xmp_source_type
from certify.instruments.png import Png, PngError, read_png
from reference_engine.marking import DEFAULT_PAYLOAD, METHOD

SHOWN = 4
# A flat picture is no fault; a plugin most of whose pictures are flat cannot be shown to mark.
UNABLE_SHARE = 0.1


@requirement("mark.declared")
def test_the_marks_are_declared(candidate: Candidate) -> None:
    marks = candidate.manifest.marks
    assert marks.invisible != "none", "The manifest declares no invisible mark."
    assert marks.metadata, "The manifest declares no metadata mark."


@requirement("mark.every-image")
def test_every_image_carries_the_declared_mark(
    candidate: Candidate, ledger: Ledger, evidence: EvidenceBox, claim: Callable[[str], None]
) -> None:
    generations = _generations(ledger)
    readings = [(generation, _read_mark(candidate, generation)) for generation in generations]
    unable = sum(reading.state == "cannot-carry" for _, reading in readings)
    unmarked = [(generation, reading) for generation, reading in readings if reading.state == "absent"]
    for generation, reading in unmarked[:SHOWN]:
        evidence.picture(
            "unmarked", generation.pixels, f"{reading.k} of {reading.n} bits, p = {reading.p_value:.2g}"
        )
    able = len(readings) - unable
    assert not unmarked, (
        f"{len(unmarked)} of {able} images carry no mark; the first has {unmarked[0][1].k} of "
        f"{unmarked[0][1].n} bits (p = {unmarked[0][1].p_value:.2g}; the mark needs p <= 1e-6)."
    )
    evidence.value("images that cannot carry a mark (too flat or too small)", unable)
    if unable > UNABLE_SHARE * len(readings):
        raise NotEvidenced(
            f"{unable} of {len(readings)} images could not carry the mark (too flat or too small)."
        )
    evidence.value("images that carry the mark", f"{able} of {able}")
    bound = unmarked_bound(able)
    claim(f"marks: {able} of {able} images marked; with 95 % confidence fewer than {bound:.1%} are unmarked")


@requirement("mark.metadata")
def test_every_png_says_that_it_is_ai_generated(ledger: Ledger, evidence: EvidenceBox) -> None:
    generations = _generations(ledger)
    wrong = []
    for generation, png in _pngs(generations):
        found = xmp_source_type(png.texts)
        if found.state != "present":
            wrong.append((generation, f"{found.state}: {found.reason}"))
    if wrong:
        evidence.text("First", f"{wrong[0][1]} (while measuring {wrong[0][0].requirement})")
    assert not wrong, f"{len(wrong)} of {len(generations)} PNGs do not say it; the first: {wrong[0][1]}"


@requirement("mark.file-is-image")
def test_the_png_holds_the_pixels_that_were_returned(ledger: Ledger, evidence: EvidenceBox) -> None:
    for generation, png in _pngs(_generations(ledger)):
        if not np.array_equal(png.pixels, generation.pixels):
            evidence.picture("returned", generation.pixels)
            evidence.picture("in the PNG", png.pixels)
            raise Broken(
                f"A PNG holds another picture than was returned (while measuring {generation.requirement})."
            )


@requirement("mark.faces")
def test_a_plugin_for_faces_declares_marks_and_terms(candidate: Candidate) -> None:
    manifest = candidate.manifest
    assert "iptc" in manifest.marks.metadata, "It may show faces, but declares no AI metadata."
    terms = manifest.commercial.face_terms
    assert terms, "It may show faces, but names no face_terms under [commercial]."
    path = candidate.file(terms)
    assert path.is_file() and path.stat().st_size > 0, (
        f"The file with the terms for faces, {terms}, is missing or empty."
    )


def _generations(ledger: Ledger) -> list[Generation]:
    if not ledger.generations:
        raise NotEvidenced("No image came back in this run.")
    return ledger.generations


def _read_mark(candidate: Candidate, generation: Generation) -> MarkReading:
    marks = candidate.manifest.marks
    method = METHOD if marks.invisible == "none" else marks.invisible
    return read_mark(generation.pixels, marks.payload or DEFAULT_PAYLOAD, method)


@cache
def _decoded(generation: Generation) -> Png:
    return read_png(generation.png, max_pixels=max(generation.pixels.size, 1))


def _pngs(generations: list[Generation]) -> Iterator[tuple[Generation, Png]]:
    for generation in generations:
        try:
            yield generation, _decoded(generation)
        except PngError as error:
            raise Broken(
                f"A PNG cannot be read (while measuring {generation.requirement}): {error}"
            ) from None
