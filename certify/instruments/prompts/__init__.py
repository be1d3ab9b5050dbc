"""Prompts and words to ask a plugin with."""
