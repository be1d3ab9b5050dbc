"""What a package declares, brings and imports."""
