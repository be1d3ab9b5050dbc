"""Labelled cases for the static instruments: what must be found, and what must be left alone."""
