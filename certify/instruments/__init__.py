"""Measuring from outside: functions from bytes, samples and sources to readings. None runs a candidate."""
