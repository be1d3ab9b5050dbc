"""Readers of AI marks: a module for each layer, pure functions without network access."""
