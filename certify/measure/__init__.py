"""Measurements that the tests of the suites share."""
