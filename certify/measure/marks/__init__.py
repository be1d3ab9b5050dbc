"""The marks of a run: its images, every entry path to an image, faces."""
