"""Outputs computed from the results, one module per format."""
