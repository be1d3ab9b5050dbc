"""What the tests of the suites are built from."""
