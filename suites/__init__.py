"""The suites: one folder each, with its requirements as data and the tests that measure them."""
