"""Faults that keep a package from working on other systems."""
