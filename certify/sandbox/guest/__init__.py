"""The code that runs beside the candidate. It is small, and its output is not trusted."""
