"""The dependencies and imports of a package."""
