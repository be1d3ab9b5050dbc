"""Whether a plugin and what it builds on may be sold."""
