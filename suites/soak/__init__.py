"""Whether a plugin can run for a day without holding more and more."""
