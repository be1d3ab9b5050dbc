"""The marks of a run: its images, every path to an image, faces."""
