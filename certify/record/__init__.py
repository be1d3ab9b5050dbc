"""What a run leaves behind: the journal, the results that are computed from it, the evidence."""
