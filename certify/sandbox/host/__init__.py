"""The trusted side of running untrusted code."""
