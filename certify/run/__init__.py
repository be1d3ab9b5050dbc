"""One run, from submission to outputs."""
