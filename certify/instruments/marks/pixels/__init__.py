"""Marks in the pixels of images: a module for each method."""
