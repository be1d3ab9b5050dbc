"""Policies of AI marks, as data."""
