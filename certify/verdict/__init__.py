"""From the record to the verdict: pure functions."""
