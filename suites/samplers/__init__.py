"""Whether the samplers that a plugin offers are what they are said to be."""
