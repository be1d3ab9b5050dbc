"""File formats that are read here without a native library."""
