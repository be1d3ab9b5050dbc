"""The submission: a folder, a wheel or a zip, with its digest."""
