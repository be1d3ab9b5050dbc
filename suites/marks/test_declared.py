"""What the manifest declares of marks and faces."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.measure.checks import requirement


@requirement("mark.declared")
def test_the_marks_are_declared(candidate: Candidate) -> None:
    marks = candidate.manifest.marks
    assert marks.invisible != "none", "The manifest declares no invisible mark."
    assert marks.metadata, "The manifest declares no metadata mark."


@requirement("mark.faces")
def test_a_plugin_for_faces_declares_marks_and_terms(candidate: Candidate) -> None:
    manifest = candidate.manifest
    assert "iptc" in manifest.marks.metadata, (
        "The manifest says that images may show faces, but declares no AI metadata."
    )
    terms = manifest.commercial.face_terms
    assert terms, "The manifest says that images may show faces, but has no face_terms under [commercial]."
    path = candidate.file(terms)
    assert path.is_file() and path.stat().st_size > 0, (
        f"The file with the terms for faces, {terms}, is missing or empty."
    )
