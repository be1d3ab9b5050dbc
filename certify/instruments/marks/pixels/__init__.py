"""Marks in the pixels of images: one module a method."""
