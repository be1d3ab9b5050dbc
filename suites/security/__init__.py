"""Whether a plugin keeps to itself."""
