"""Whether a plugin runs on the systems that it is sold for."""
