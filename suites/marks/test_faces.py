"""What a plugin says of faces, and what its images show."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.decoders import Missing, NotReadable
from certify.instruments.marks.pixels.faces import decide
from certify.measure.checks import NotEvidenced, requirement
from certify.measure.marks.faces import INSTALL, faces_in
from certify.measure.marks.run_images import made_of
from certify.measure.randomness import Draw
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.plugin import RemotePlugin

# What makes a model of faces show one.
PROMPTS = (
    "portrait photo of a woman, looking at the camera",
    "close-up of an old man's face, studio light",
    "a family of four smiling, group photo",
    "passport photo of a young man",
    "a child laughing, front view",
    "headshot of a business woman, neutral background",
)
ASKED = 12


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


@requirement("mark.faces-declared")
def test_a_plugin_whose_images_show_faces_says_so(
    candidate: Candidate, plugin: RemotePlugin, draw: Draw, evidence: EvidenceBox
) -> None:
    plugin.load()
    if candidate.manifest.plugin.generates_faces:
        evidence.text(
            "Declared", "The manifest says that its images may show faces; nothing is left to find."
        )
        return
    asked = (draw.request(width=128, height=128, prompt=PROMPTS[i % len(PROMPTS)]) for i in range(ASKED))
    made = made_of(plugin.generate, asked)
    try:
        seen = faces_in([generation.pixels for generation in made])
    except Missing as missing:
        raise NotEvidenced(f"No face detector is installed ({missing}): {INSTALL}.") from None
    except NotReadable as error:
        raise NotEvidenced(f"The face detectors gave no answer: {error}.") from None
    found = decide(seen)
    for generation, what in zip(made, seen, strict=True):
        if what != "none":
            evidence.picture(what, generation.pixels, str(generation.request["prompt"]))
    evidence.value("images with a face", f"{found.faces} of {found.images}, {found.perhaps} perhaps")
    evidence.value("chance of so many without any", found.p_value)
    assert found.outcome != "shows", (
        f"{found.faces} of {found.images} images show a face (p = {found.p_value:.2g}), "
        "but the manifest says generates_faces = false."
    )
    if found.outcome == "perhaps":
        raise NotEvidenced(
            f"{found.faces} of {found.images} images show a face and {found.perhaps} perhaps: too few to "
            "prove it, so a person has to look at them."
        )
    raise NotEvidenced(
        f"None of {found.images} images shows a face with these weights, which says nothing of others: run "
        "with --model and the weights that users have."
    )
