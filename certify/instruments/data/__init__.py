"""Data collected by others: NOTICE names the source of each file."""
