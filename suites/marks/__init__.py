"""Whether every image says that it is AI-generated."""
