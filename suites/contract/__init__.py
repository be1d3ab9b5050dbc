"""Whether a plugin keeps the SDK's contract."""
