"""Whether a plugin that generates faces says so."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.decoders import Missing, NotReadable
from certify.instruments.marks.pixels.faces import decide
from certify.measure.checks import NotEvidenced, requirement
from certify.measure.marks.faces import INSTALL, faces_in
from certify.measure.marks.run_images import made_of
from certify.measure.randomness import Draws
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.plugin import RemotePlugin

# Prompts that make a model show faces, if it can.
PROMPTS = (
    "portrait photo of a woman, looking at the camera",
    "close-up of an old man's face, studio light",
    "a family of four smiling, group photo",
    "passport photo of a young man",
    "a child laughing, front view",
    "headshot of a business woman, neutral background",
)
IMAGES = 12


@requirement("mark.faces-declared")
def test_a_plugin_whose_images_show_faces_says_so(
    candidate: Candidate, plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    plugin.load()
    if candidate.manifest.plugin.generates_faces:
        evidence.text(
            "Declared", "The manifest says that its images may show faces; nothing is left to check."
        )
        return
    requests = (draws.request(width=128, height=128, prompt=PROMPTS[i % len(PROMPTS)]) for i in range(IMAGES))
    made = made_of(plugin.generate, requests)
    try:
        seen = faces_in([generation.pixels for generation in made])
    except Missing as missing:
        raise NotEvidenced(f"No face detector is installed ({missing}): {INSTALL}.") from None
    except NotReadable as error:
        raise NotEvidenced(f"The face detectors failed: {error}.") from None
    decision = decide(seen)
    for generation, what in zip(made, seen, strict=True):
        if what != "none":
            evidence.picture(what, generation.pixels, str(generation.request["prompt"]))
    evidence.value("images with a face", f"{decision.faces} of {decision.images}, {decision.perhaps} perhaps")
    evidence.value("p-value if the plugin showed no faces", decision.p_value)
    assert decision.outcome != "shows", (
        f"{decision.faces} of {decision.images} images show a face (p = {decision.p_value:.2g}), "
        "but the manifest says generates_faces = false."
    )
    if decision.outcome == "perhaps":
        raise NotEvidenced(
            f"{decision.faces} of {decision.images} images show a face and {decision.perhaps} perhaps. "
            "This is too few to prove it: a person must look at the images."
        )
    raise NotEvidenced(
        f"None of {decision.images} images shows a face with these weights. This proves nothing for other "
        "weights: run with --model and the weights that users have."
    )
