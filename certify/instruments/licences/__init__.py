"""Licence texts, identifiers and what they permit."""
