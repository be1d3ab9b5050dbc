"""The tests of certify itself."""
