"""Leak detection: samples of a process in, a verdict out."""
