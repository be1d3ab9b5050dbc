"""Marks in the files of images: one module a format or a law."""
