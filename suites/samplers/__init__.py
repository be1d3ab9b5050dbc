"""Whether the samplers of a plugin do what the manifest says."""
