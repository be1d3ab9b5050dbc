"""Whether a plugin handles prompts in the languages that a store sells to."""
