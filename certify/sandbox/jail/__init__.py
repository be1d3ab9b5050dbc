"""The jail's walls on Linux, by system calls alone: Landlock, seccomp, namespaces, a user of its own.

Used on both sides: the guest shuts itself in before any candidate is near (`enter`), the supervisor answers
for what the filter asks (`notify`). Standard library alone; x86-64 and arm64.
"""
