"""Known-bad plugins, each made from the sound one by a single defect, with the findings that it must cause."""
