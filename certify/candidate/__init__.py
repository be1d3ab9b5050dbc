"""A candidate: a submission opened, with its declaration."""
