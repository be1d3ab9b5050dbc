"""The record of a run: the journal, the results that are computed from it, and the evidence."""
