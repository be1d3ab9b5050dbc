"""Which requirements there are, which apply here, and with which durations and marks."""
