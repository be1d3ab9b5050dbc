"""Outputs derived from the results, one module a format."""
