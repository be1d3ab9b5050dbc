"""What keeps a package from working on another system."""
