"""Readers for file formats, without native libraries."""
