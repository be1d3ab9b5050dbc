"""Prompts and words for a plugin under test."""
