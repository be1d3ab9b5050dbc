"""Whether a plugin stays inside its limits and contains no hostile code."""
