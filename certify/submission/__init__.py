"""What was handed in: a folder, a wheel or a zip, with its digest."""
