"""Marks in image files: a module for each format or law."""
