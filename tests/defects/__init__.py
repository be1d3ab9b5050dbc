"""Known-bad plugins, each the sound one with a single defect, and the findings that it must cause."""
